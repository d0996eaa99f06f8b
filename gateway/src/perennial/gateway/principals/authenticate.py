"""Whose request it is: an API key, a staff session, or a token, in `Authorization: Bearer`."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from perennial.common.auth import ISSUER, Authenticated, Principal
from perennial.common.problems import Forbidden, Problem, Unauthorized
from perennial.gateway.access import digest
from perennial.gateway.permissions import STAFF
from perennial.gateway.principals import jwts, known, texts
from perennial.gateway.principals.issuers.customers import Customers
from perennial.gateway.principals.jwts import Unread
from perennial.gateway.principals.memory import Memory
from perennial.gateway.principals.oidc.provider import Provider
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.proxy.rules import check

# What is left to somebody whose password was made up by somebody else.
_BEFORE_CHANGE = frozenset(
    {
        ("GET", "/v1/staff/me"),
        ("PUT", "/v1/staff/me/password"),
        ("DELETE", "/v1/staff/sessions/{session_id}"),
    }
)


class Shown(NamedTuple):
    """Who showed what: `session_id` is a staff session's; `role` is what a staff member is shown to be."""

    principal: Principal
    session_id: str | None = None
    roles: tuple[str, ...] = ()
    must_change: bool = False


class Authenticator:
    """Knows every principal, and what each may ask for."""

    def __init__(self, memory: Memory, tokens: Tokens, provider: Provider | None, customers: Customers) -> None:
        self._memory = memory
        self._tokens = tokens
        self._provider = provider
        self._customers = customers

    async def asks(self, authorization: str | None) -> "Shown | Problem":
        """Who shows a header, or why nobody does: a route decides what comes of it."""
        try:
            return await self.shown(authorization)
        except Problem as error:
            return error

    async def shown(self, authorization: str | None) -> Shown:
        """Who shows a header. Raises Unauthorized, Forbidden and Unavailable."""
        if not authorization:
            raise Unauthorized(
                "Authorization is required", code="unauthenticated", headers={"WWW-Authenticate": "Bearer"}
            )
        scheme, _, presented = authorization.strip().partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            raise Unauthorized("Authorization must be `Bearer <API key or token>`", code="unauthenticated")
        if texts.is_jwt(presented):
            return await self._of_jwt(presented)
        if presented.startswith(f"{texts.SESSION}_"):
            return await self._of_session(presented)
        return await self._of_key(presented)

    async def _of_key(self, text: str) -> Shown:
        key = await self._memory.key(digest(text), look=texts.is_well_formed(text))
        if key is None:
            raise Unauthorized("Authorization: the API key is unknown or revoked", code="invalid_key")
        if key.expired():
            raise Unauthorized("Authorization: the API key has expired", code="key_expired")
        self._memory.touch_key(key)
        return Shown(key.principal)

    async def _of_session(self, text: str) -> Shown:
        hashed = digest(text)
        session = await self._memory.session(hashed) if texts.is_well_formed(text) else None
        if session is None:
            raise Unauthorized("Authorization: the session is unknown or over; sign in again", code="session_over")
        self._memory.touch_session(hashed, session)
        role = known.NOTHING if session.must_change else self._memory.roles.get(session.role, known.NOTHING)
        principal = Principal("staff", session.account_id, role.scopes, fields=role.fields)
        return Shown(principal, session.id, (session.role,), session.must_change)

    async def _of_jwt(self, token: str) -> Shown:
        unread = jwts.peek(token)
        if unread.issuer == ISSUER:
            return await self._of_own_token(token)
        if self._provider is not None and unread.issuer == self._provider.issuer:
            return await self._of_provider(self._provider, token, unread)
        issuer = self._memory.issuers.get(unread.issuer)
        if issuer is None:
            raise jwts.invalid("the issuer of the token is unknown")
        return Shown(await self._customers.principal(issuer, token, unread))

    async def _of_own_token(self, token: str) -> Shown:
        claims = self._tokens.check_customer(token)
        if claims.key_id is not None:
            key = await self._memory.key_by_id(claims.key_id)
            if key is None or key.expired():
                raise jwts.invalid("the API key that minted the token was revoked or has expired", "token_revoked")
        return Shown(claims.principal)

    async def _of_provider(self, provider: Provider, token: str, unread: Unread) -> Shown:
        subject, names = await provider.check(token, unread)
        held = [self._memory.roles[name] for name in names]
        scopes = frozenset[str]().union(*(role.scopes for role in held))
        fields = frozenset[str]().union(*(role.fields for role in held))
        return Shown(Principal("staff", f"oidc:{subject}", scopes, fields=fields), roles=names)


async def of_request(request: Request) -> Principal:
    """The principal of a request to one of the gateway's own routes, as the gate found it. Raises a problem."""
    shown: Shown | Problem = request.state.shown
    if isinstance(shown, Problem):
        raise shown
    if shown.must_change and (request.method, request.scope["route"].path) not in _BEFORE_CHANGE:
        raise Forbidden("choose a password first: PUT /v1/staff/me/password", code="password_change_required")
    return shown.principal


async def _staff(request: Request, principal: Authenticated) -> Shown:
    check(principal, STAFF)
    shown: Shown = request.state.shown
    return shown


StaffMember = Annotated[Shown, Depends(_staff)]
"""Anybody on the staff, whatever the role."""
