"""`/v1/staff/accounts`."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, Unprocessable, documented, paged
from perennial.common.web.etags import IfMatch, tag
from perennial.gateway.listing import after_of
from perennial.gateway.principals.accounts import passwords, queries, service
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.accounts.schemas import AccountChange, AccountOut, Issued, NewAccount
from perennial.gateway.principals.deps import EdgeOf

router = APIRouter(tags=["gateway"])

Reader = Annotated[Principal, Depends(requires("staff:read"))]
Writer = Annotated[Principal, Depends(requires("staff:write"))]
AccountId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


@router.post(
    "/v1/staff/accounts", status_code=201, responses=documented(400, 409), openapi_extra={"x-shown-once": True}
)
async def add_staff_account(body: NewAccount, principal: Writer, edge: EdgeOf, response: Response) -> Issued:
    """Add somebody; the password in this answer is for the first login, and must then be changed."""
    try:
        email = service.address(body.email)
    except ValueError as error:
        raise Unprocessable(f"email {error}", code="invalid_request", pointer="/email") from error
    password = passwords.one_time()
    hashed = await edge.logins.passwords.hash(password)
    async with edge.runtime.database.write() as session:
        account = await service.add(session, principal, {**body.model_dump(), "email": email}, hashed)
    response.headers["Location"] = f"/v1/staff/accounts/{account.id}"
    return _issued(account, password, response)


@router.get("/v1/staff/accounts", responses=documented(400))
async def list_staff_accounts(_: Reader, session: Read, page: PageQuery) -> Page[AccountOut]:
    """Accounts, oldest first."""
    rows = await queries.page(session, page.limit + 1, after_of(page))
    found = await _shown(session, rows)
    return paged(found, page, lambda account: (account.created_at.isoformat(), account.id))


@router.get("/v1/staff/accounts/{account_id}", responses=documented(404))
async def get_staff_account(account_id: AccountId, _: Reader, session: Read, response: Response) -> AccountOut:
    """One account."""
    account = await queries.by_id(session, account_id)
    if account is None:
        raise service.missing(account_id)
    tag(response, account.version)
    return (await _shown(session, [account]))[0]


@router.patch("/v1/staff/accounts/{account_id}", responses=documented(400, 404, 409, 412, 428))
async def change_staff_account(
    account_id: AccountId, body: AccountChange, principal: Writer, expected: IfMatch, edge: EdgeOf, response: Response
) -> AccountOut:
    """Change the name, the role, or whether somebody may sign in; a new role ends every session."""
    wanted = body.model_dump(exclude_unset=True)
    async with edge.runtime.database.write() as session:
        account = await service.change(session, account_id, by=principal, expected=expected, wanted=wanted)
        shown = (await _shown(session, [account]))[0]
    await edge.access.refresh()
    tag(response, account.version)
    return shown


@router.post("/v1/staff/accounts/{account_id}/unlock", responses=documented(404))
async def unlock_staff_account(account_id: AccountId, principal: Writer, edge: EdgeOf) -> AccountOut:
    """Let somebody try again who gave the wrong password too often."""
    async with edge.runtime.database.write() as session:
        account = await service.unlock(session, account_id, by=principal)
    return AccountOut.model_validate(account)


@router.post("/v1/staff/accounts/{account_id}/reset-password", responses=documented(404))
async def reset_staff_password(account_id: AccountId, principal: Writer, edge: EdgeOf, response: Response) -> Issued:
    """Give somebody a password for one login; every session ends."""
    password = passwords.one_time()
    hashed = await edge.logins.passwords.hash(password)
    async with edge.runtime.database.write() as session:
        account = await service.reset(session, account_id, by=principal, hashed=hashed)
    await edge.access.refresh()
    return _issued(account, password, response)


def _issued(account: Account, password: str, response: Response) -> Issued:
    response.headers["Cache-Control"] = "no-store"
    return Issued(**AccountOut.model_validate(account).model_dump(), one_time_password=password)


async def _shown(session: ReadSession, rows: Sequence[Account]) -> list[AccountOut]:
    locked = await queries.locked_until(session, [row.id for row in rows])
    return [AccountOut.model_validate(row).model_copy(update={"locked_until": locked.get(row.id)}) for row in rows]
