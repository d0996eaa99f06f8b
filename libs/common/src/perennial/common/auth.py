"""Principals, scopes, and the short internal token that the gateway signs and every service verifies."""

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import UUID

import jwt
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from perennial.common.problems import Forbidden, Unauthorized

ALGORITHM = "EdDSA"
ISSUER, AUDIENCE = "perennial-gateway", "perennial-services"
TTL_SECONDS = 60

Kind = Literal["api_key", "customer", "staff", "service"]
Authenticate = Callable[[Request], Awaitable["Principal"]]
bearer = HTTPBearer(auto_error=False, scheme_name="bearer", bearerFormat="JWT")


@dataclass(frozen=True)
class Principal:
    """Who asks.

    `via` is a customer's identifier when the customer asks in person. `fields` is what the principal sees in clear:
    names of fields, classes of them (`perennial.common.masks`), or `*`. `classes` are what a service knows of its
    shop's own fields; no token bears them.
    """

    kind: Kind
    id: str
    scopes: frozenset[str]
    via: UUID | None = None
    fields: frozenset[str] = frozenset()
    classes: Mapping[str, Literal["public", "personal", "sensitive"]] = field(default_factory=dict, hash=False)

    def may(self, scope: str) -> bool:
        """Whether a scope `resource:action` is granted, by itself or by `resource:*` or `*`."""
        return bool({scope, f"{scope.split(':', 1)[0]}:*", "*"} & self.scopes)


def mint(private_key: str, principal: Principal, ttl: int = TTL_SECONDS) -> str:
    """A signed internal token (JWT, Ed25519) for one principal."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + ttl,
        "sub": principal.id,
        "kind": principal.kind,
        "scope": " ".join(sorted(principal.scopes)),
        "fields": " ".join(sorted(principal.fields)),
        "via": str(principal.via) if principal.via else None,
    }
    return jwt.encode(claims, private_key, algorithm=ALGORITHM)


@functools.lru_cache(maxsize=4096)
def _decode(token: str, public_key: str) -> tuple[Principal, float]:
    """Of whom a token is, and when it expires."""
    claims: dict[str, Any] = jwt.decode(
        token, public_key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options={"require": ["exp", "sub"]}
    )
    via = UUID(claims["via"]) if claims.get("via") else None
    fields = frozenset(claims.get("fields", "").split())
    return Principal(claims["kind"], claims["sub"], frozenset(claims["scope"].split()), via, fields), claims["exp"]


def verify(token: str, public_key: str) -> Principal:
    """The principal of an internal token. Raises Unauthorized."""
    try:
        principal, expires = _decode(token, public_key)
    except (jwt.PyJWTError, ValueError) as error:
        raise Unauthorized(detail="the internal token is not valid") from error
    if expires <= time.time():
        raise Unauthorized(detail="the internal token has expired")
    return principal


async def authenticated(request: Request, credentials: Annotated[Any, Security(bearer)]) -> Principal:
    """The principal of a request: of its internal token, or as the application's own `state.authenticate` says.

    No other header is trusted. The gateway, where requests come from outside, brings an `authenticate`.
    """
    known: Principal | None = getattr(request.state, "principal", None)
    if known is not None:
        return known  # asked for once more in the same request
    own: Authenticate | None = getattr(request.app.state, "authenticate", None)
    if own is not None:
        principal = await own(request)
    elif credentials is None:
        raise Unauthorized(detail="Authorization is missing")
    else:
        principal = verify(credentials.credentials, request.app.state.settings.internal_key)
    request.state.principal = principal
    return principal


Authenticated = Annotated[Principal, Depends(authenticated)]


def requires(*scopes: str) -> Callable[..., Any]:
    """A dependency: the principal, if it holds every scope; the OpenAPI document names them. Raises Forbidden."""

    async def holding(principal: Annotated[Principal, Security(authenticated, scopes=scopes)]) -> Principal:
        for scope in scopes:
            if principal.kind == "customer" or not principal.may(scope):
                raise Forbidden(detail=f"the scope {scope} is required", code="insufficient_scope")
        return principal

    return holding


async def _customer(principal: Authenticated) -> UUID:
    if principal.kind != "customer" or principal.via is None:
        raise Forbidden(detail="a customer token is required", code="customer_token_required")
    return principal.via


CustomerVia = Annotated[UUID, Depends(_customer)]
"""The identifier in the customer's token: the origin of what the customer does on `/v1/me` routes."""
