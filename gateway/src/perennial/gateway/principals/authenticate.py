"""Whose request it is: an API key, a staff session, or a token, in `Authorization: Bearer`."""

from collections import OrderedDict
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from starlette.types import Scope

from perennial.common.auth import ISSUER, Authenticated, Principal
from perennial.common.problems import Forbidden, Problem, Unauthorized
from perennial.gateway.permissions import STAFF
from perennial.gateway.principals import jwts, known, texts
from perennial.gateway.principals.issuers.customers import Customers
from perennial.gateway.principals.jwts import REMEMBERED, Unread
from perennial.gateway.principals.memory import Memory
from perennial.gateway.principals.oidc.provider import Provider
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.rules import check

# What is left to somebody whose password was made up by somebody else.
_BEFORE_CHANGE = frozenset(
    {
        ("GET", "/v1/staff/me"),
        ("PUT", "/v1/staff/me/password"),
        ("DELETE", "/v1/staff/sessions/{session_id}"),
    }
)


class Shown(NamedTuple):
    """Who showed what: `session_id` is a staff session's; `role` is what a staff member is shown to be.

    `ends` is when that is over by itself, as a time of `time.time()`.
    """

    principal: Principal
    session_id: str | None = None
    roles: tuple[str, ...] = ()
    must_change: bool = False
    ends: float | None = None


class Authenticator:
    """Knows every principal, and what each may ask for."""

    def __init__(self, memory: Memory, tokens: Tokens, provider: Provider | None, customers: Customers) -> None:
        self._memory = memory
        self._tokens = tokens
        self._provider = provider
        self._customers = customers
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def asks(self, authorization: str | None, *, look: bool = True) -> "Shown | Problem":
        """Who shows a header, or why nobody does: a route decides what comes of it."""
        try:
            return await self.shown(authorization, look=look)
        except Problem as error:
            return error

    async def shown(self, authorization: str | None, *, look: bool = True) -> Shown:
        """Who shows a header. Raises Unauthorized, Forbidden and Unavailable.

        Without `look` only those are known whom this process knows already: no database is asked, no signature checked.
        """
        if not authorization:
            raise Unauthorized(
                "Authorization is required", code="unauthenticated", headers={"WWW-Authenticate": "Bearer"}
            )
        scheme, _, presented = authorization.strip().partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            raise Unauthorized("Authorization must be `Bearer <API key or token>`", code="unauthenticated")
        if texts.is_jwt(presented):
            return await self._of_token(presented, look=look)
        if presented.startswith(f"{texts.SESSION}_"):
            return await self._of_session(presented, look=look)
        return await self._of_key(presented, look=look)

    async def _of_key(self, text: str, *, look: bool) -> Shown:
        key = await self._memory.key(texts.digest(text), look=look and texts.is_well_formed(text))
        if key is None:
            raise Unauthorized("Authorization: the API key is unknown or revoked", code="invalid_key")
        if key.expired():
            raise Unauthorized("Authorization: the API key has expired", code="key_expired")
        self._memory.touch_key(key)
        return Shown(key.principal)

    async def _of_session(self, text: str, *, look: bool) -> Shown:
        hashed = texts.digest(text)
        session = await self._memory.session(hashed, look=look) if texts.is_well_formed(text) else None
        if session is None:
            raise Unauthorized("Authorization: the session is unknown or over; sign in again", code="session_over")
        self._memory.touch_session(hashed, session)
        role = known.NOTHING if session.must_change else self._memory.roles.get(session.role, known.NOTHING)
        principal = Principal("staff", session.account_id, role.scopes, fields=role.fields)
        return Shown(principal, session.id, (session.role,), session.must_change, session.expires_at.timestamp())

    async def _of_token(self, token: str, *, look: bool) -> Shown:
        hashed = texts.digest(token)
        if not look and hashed not in self._good:
            raise jwts.invalid("the token was not shown here before")
        shown = await self._of_jwt(token)
        self._good[hashed] = None
        self._good.move_to_end(hashed)
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)
        return shown

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
        if claims.session_id is not None and await self._memory.session_by_id(claims.session_id) is None:
            raise jwts.invalid("the staff session that minted the token is over", "token_revoked")
        return Shown(claims.principal)

    async def _of_provider(self, provider: Provider, token: str, unread: Unread) -> Shown:
        subject, names = await provider.check(token, unread)
        held = [self._memory.roles[name] for name in names]
        scopes = frozenset[str]().union(*(role.scopes for role in held))
        fields = frozenset[str]().union(*(role.fields for role in held))
        principal = Principal("staff", f"oidc:{subject}", scopes, fields=fields)
        return Shown(principal, roles=names, ends=float(unread.claims["exp"]))


async def identify(scope: Scope, *, look: bool = True) -> None:
    """Note in a request's state who asks, by what holds at this moment."""
    authenticator: Authenticator = scope["app"].state.edge.authenticator
    shown = await authenticator.asks(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"), look=look)
    scope["state"]["shown"] = shown
    scope["state"]["asks"] = shown if isinstance(shown, Problem) else shown.principal


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
