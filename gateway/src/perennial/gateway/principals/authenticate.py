"""Whose request it is: an API key or a customer token in `Authorization: Bearer`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer

from perennial.common.auth import Principal
from perennial.common.web import Forbidden, Unauthorized
from perennial.gateway.access import Access, digest
from perennial.gateway.principals.tokens import Tokens

JWT_DOTS = 2
_scheme = HTTPBearer(auto_error=False, scheme_name="apiKey")


class Authenticator:
    """Knows every principal, and remembers when each API key was last seen."""

    def __init__(self, access: Access, tokens: Tokens) -> None:
        self._access = access
        self._tokens = tokens
        self.used: dict[str, datetime] = {}

    def principal(self, authorization: str | None) -> Principal:
        """Raises Unauthorized."""
        if not authorization:
            raise Unauthorized(
                "Authorization is required", code="unauthenticated", headers={"WWW-Authenticate": "Bearer"}
            )
        scheme, _, presented = authorization.strip().partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            raise Unauthorized("Authorization must be `Bearer <API key or token>`", code="unauthenticated")
        known = self._access.keys.get(digest(presented))
        if known is None:
            if presented.count(".") == JWT_DOTS:
                return self._tokens.check_customer(presented)
            raise Unauthorized("Authorization: the API key is unknown or revoked", code="invalid_key")
        if known.expired():
            raise Unauthorized("Authorization: the API key has expired", code="key_expired")
        self.used[known.id] = datetime.now(UTC).replace(second=0, microsecond=0)
        return Principal("api_key", known.id, known.scopes)


def requires(scope: str) -> Callable[..., Any]:
    """A dependency of the gateway's own routes: the principal, if it holds the scope."""

    async def holding(request: Request, _: Any = Security(_scheme)) -> Principal:  # noqa: B008
        authenticator: Authenticator = request.app.state.edge.authenticator
        principal = authenticator.principal(request.headers.get("authorization"))
        if principal.kind == "customer" or not principal.may(scope):
            raise Forbidden(f"the scope {scope} is required", code="insufficient_scope")
        return principal

    return holding
