"""Staff whom another identity provider has signed in: its tokens, its keys, and what its claims mean here."""

import time
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from perennial.common import egress
from perennial.common.egress import EgressError
from perennial.common.problems import Forbidden, Unavailable
from perennial.gateway.principals.jwks import RETRY_SECONDS, KeySet
from perennial.gateway.principals.jwts import Unread, Verifier, Wanted
from perennial.gateway.settings import GatewaySettings

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The issuer is configured by who runs the deployment, and often lives inside it."""
DISCOVERY_SECONDS = 3600.0


class Provider:
    """One OpenID provider."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Needs `oidc_issuer` and `oidc_client_id`."""
        self.issuer = settings.oidc_issuer or ""
        self.client_id = settings.oidc_client_id or ""
        self._claim = settings.oidc_role_claim
        self._roles = settings.oidc_roles
        self._found: Mapping[str, Any] = {}
        self._found_at = self._tried_at = float("-inf")
        wanted = Wanted(
            self.issuer,
            (self.client_id, *settings.oidc_audiences),
            tuple(settings.oidc_algorithms),
            settings.oidc_leeway_seconds,
            clients=(self.client_id,),
        )
        self._verifier = Verifier(KeySet(self._fetch_keys, fresh_seconds=settings.oidc_keys_seconds), wanted)

    async def check(self, token: str, unread: Unread) -> tuple[str, tuple[str, ...]]:
        """A token's subject and roles. Raises Unauthorized; Forbidden for somebody without a role here."""
        claims = await self._verifier.check(token, unread)
        roles = self._roles_of(claims)
        if not roles:
            raise Forbidden(f"no role: the token's {self._claim} names none that is configured", code="no_role")
        return str(claims["sub"]), roles

    async def discovery(self) -> Mapping[str, Any]:
        """The provider's own description. Raises Unavailable."""
        now = time.monotonic()
        if now - self._found_at >= DISCOVERY_SECONDS and now - self._tried_at >= RETRY_SECONDS:
            self._tried_at = now
            try:
                await self._discover()
            except EgressError as error:
                if not self._found:
                    raise Unavailable("the OpenID provider does not answer", code="issuer_unavailable") from error
        if not self._found:
            raise Unavailable("the OpenID provider does not answer", code="issuer_unavailable")
        return self._found

    async def _discover(self) -> Mapping[str, Any]:
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await egress.fetch_json(url, EVERYWHERE)
        if not isinstance(found, dict) or found.get("issuer") != self.issuer:
            raise EgressError(f"{url} does not describe {self.issuer}")
        if not isinstance(found.get("jwks_uri"), str):
            raise EgressError(f"{url} has no jwks_uri")
        self._found, self._found_at = found, time.monotonic()
        return found

    async def _fetch_keys(self) -> Any:
        found = await self._discover()
        return await egress.fetch_json(found["jwks_uri"], EVERYWHERE)

    def _roles_of(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        value: Any = claims.get(self._claim)
        if value is None and "." in self._claim:
            value = claims
            for part in self._claim.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        said = value if isinstance(value, list) else [value]
        return tuple(sorted({self._roles[name] for name in said if isinstance(name, str) and name in self._roles}))
