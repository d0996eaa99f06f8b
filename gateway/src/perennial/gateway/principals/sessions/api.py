"""`/v1/staff/sessions` and `/v1/staff/me`: signing in, out, and who is signed in."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from perennial.common.web import Read, documented
from perennial.gateway.principals.accounts import queries as accounts
from perennial.gateway.principals.authenticate import StaffMember
from perennial.gateway.principals.deps import EdgeOf
from perennial.gateway.principals.sessions import queries, service
from perennial.gateway.principals.sessions.schemas import (
    Login,
    Me,
    OpenedSession,
    PasswordChange,
    SessionOut,
    Sessions,
)
from perennial.gateway.principals.sessions.service import Opened
from perennial.gateway.rates import client_address

router = APIRouter(tags=["gateway"])

CURRENT = "current"
SessionId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$", description="An id, or `current`.")]
UserAgent = Annotated[str, Header(include_in_schema=False)]


@router.post(
    "/v1/staff/sessions", status_code=201, responses=documented(400, 429, 503),
    openapi_extra={"security": [], "x-shown-once": True},
)  # fmt: skip
async def open_staff_session(
    body: Login, request: Request, edge: EdgeOf, response: Response, user_agent: UserAgent = ""
) -> OpenedSession:
    """Sign in. Whatever is wrong, the answer is the same; after five wrong passwords it is no for a while."""
    sent = dict(request.scope["headers"])
    peer = client_address(request.scope, sent, edge.settings.trusted_proxies)
    return _opened(await edge.logins.open(body.email, body.password, user_agent, peer), response)


@router.get("/v1/staff/sessions")
async def list_staff_sessions(staff: StaffMember, session: Read, edge: EdgeOf) -> Sessions:
    """Where one is signed in; nothing for staff of the OpenID provider."""
    rows = await queries.of_account(session, edge.logins.idle, staff.principal.id)
    found = [SessionOut.model_validate(row) for row in rows]
    return Sessions(items=[item.model_copy(update={"current": item.id == staff.session_id}) for item in found])


@router.delete("/v1/staff/sessions/{session_id}", status_code=204, responses=documented(404))
async def end_staff_session(session_id: SessionId, staff: StaffMember, edge: EdgeOf) -> None:
    """Sign out, here (`current`) or elsewhere."""
    ended = (staff.session_id or CURRENT) if session_id == CURRENT else session_id
    async with edge.runtime.database.write() as session:
        await service.end(session, staff.principal.id, ended, by=staff.principal)
    await edge.access.refresh()


@router.get("/v1/staff/me")
async def get_staff_me(staff: StaffMember, session: Read) -> Me:
    """Who is signed in, and what that allows."""
    account = await accounts.by_id(session, staff.principal.id)
    return Me(
        id=staff.principal.id,
        email=account.email if account else None,
        name=account.name if account else None,
        roles=list(staff.roles),
        scopes=sorted(staff.principal.scopes),
        fields=sorted(staff.principal.fields),
        must_change_password=staff.must_change,
    )


@router.put("/v1/staff/me/password", responses=documented(400, 409, 503))
async def change_my_password(
    body: PasswordChange, staff: StaffMember, edge: EdgeOf, response: Response, user_agent: UserAgent = ""
) -> OpenedSession:
    """Choose a new password: every session ends, and this answer has the token of a new one."""
    opened = await edge.logins.choose_password(staff.principal, body.current_password, body.new_password, user_agent)
    await edge.access.refresh()
    return _opened(opened, response)


def _opened(opened: Opened, response: Response) -> OpenedSession:
    response.headers["Cache-Control"] = "no-store"
    shown = SessionOut.model_validate(opened.session).model_dump()
    return OpenedSession(
        **{**shown, "current": True}, token=opened.token, must_change_password=opened.account.must_change
    )
