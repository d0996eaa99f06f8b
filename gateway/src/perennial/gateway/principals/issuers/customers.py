"""Customers whom the shop's own issuer has signed in: which identifier of ours a token's claim is."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import aiohttp
import structlog

from perennial.common import egress
from perennial.common.auth import Principal
from perennial.common.problems import Forbidden, Unavailable
from perennial.gateway.principals import jwts
from perennial.gateway.principals.issuers.models import TokenIssuer
from perennial.gateway.principals.jwks import KeySet
from perennial.gateway.principals.jwts import Unread, Verifier, Wanted
from perennial.gateway.principals.tokens import Tokens

log = structlog.get_logger()

LEEWAY_SECONDS = 30.0
IDENTITY_SECONDS = 3.0
REMEMBERED = 50_000
UNKNOWN_SECONDS = 5.0
LONGEST = 320
ASKING = Principal("service", "gateway", frozenset({"identities:read"}))


class Identity:
    """Asks the identity service whose an identifier is. An identifier's id never changes, so it is asked once."""

    def __init__(self, base: str | None, tokens: Tokens) -> None:
        self._base = base.rstrip("/") if base else None
        self._tokens = tokens
        self._known: OrderedDict[bytes, UUID] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None

    async def via(self, kind: str, value: str) -> UUID:
        """The identifier's id. Raises Forbidden for one that is not known, Unavailable without an answer."""
        digest = hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()
        if digest not in self._known:
            if self._unknown.get(digest, 0.0) > time.monotonic():
                raise _unknown(kind)
            try:
                self._known[digest] = await self._ask(kind, value)
            except Forbidden:
                self._unknown[digest] = time.monotonic() + UNKNOWN_SECONDS
                raise
            finally:
                _bound(self._known)
                _bound(self._unknown)
        self._known.move_to_end(digest)
        return self._known[digest]

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, kind: str, value: str) -> UUID:
        if self._base is None:
            raise _unavailable()
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=IDENTITY_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Authorization": f"Bearer {self._tokens.internal(ASKING)}"}
        params = {"identifier": f"{kind}:{value}"}
        try:
            async with self._session.get(
                f"{self._base}/v1/identifiers", params=params, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status in {400, 404, 422}:
                    raise _unknown(kind)
                answer.raise_for_status()
                found: dict[str, Any] = await answer.json()
                return UUID(found["id"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            # Its text has the URL in it, and so the identifier.
            status = getattr(error, "status", None)
            log.warning("customers.identity_unavailable", error=type(error).__name__, status=status)
            raise _unavailable() from error


class Customers:
    """Checks tokens of the shop's issuers and names their customers."""

    def __init__(self, identity: Identity, allowed: Sequence[egress.Network]) -> None:
        self._identity = identity
        self._allowed = allowed
        self._verifiers: dict[str, tuple[int, Verifier]] = {}

    async def principal(self, issuer: TokenIssuer, token: str, unread: Unread) -> Principal:
        """The customer of a token. Raises Unauthorized, Forbidden and Unavailable."""
        claims = await self._verifier(issuer).check(token, unread)
        value = claims.get(issuer.claim)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
            raise jwts.invalid(f"the token's {issuer.claim} is missing or no identifier")
        via = await self._identity.via(issuer.identifier_kind, value)
        return Principal("customer", str(via), frozenset(), via)

    def _verifier(self, issuer: TokenIssuer) -> Verifier:
        held = self._verifiers.get(issuer.id)
        if held is None or held[0] != issuer.version:
            held = self._verifiers[issuer.id] = (issuer.version, self._new_verifier(issuer))
        return held[1]

    def _new_verifier(self, issuer: TokenIssuer) -> Verifier:
        wanted = Wanted(
            issuer.issuer, (issuer.audience,), tuple(issuer.algorithms), LEEWAY_SECONDS, max_age=issuer.max_age_seconds
        )
        if issuer.jwks_url is None:
            return Verifier(KeySet(None, issuer.jwks), wanted)
        return Verifier(KeySet(partial(egress.fetch_json, issuer.jwks_url, self._allowed)), wanted)


def _bound(memory: OrderedDict[bytes, Any]) -> None:
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _unknown(kind: str) -> Forbidden:
    return Forbidden(f"the token's {kind} is of no customer that is known here", code="unknown_customer")


def _unavailable() -> Unavailable:
    return Unavailable("whose token it is cannot be found out right now, try again", code="identity_unavailable")
