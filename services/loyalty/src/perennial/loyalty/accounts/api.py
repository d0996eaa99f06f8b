"""HTTP: accounts and their ledgers, for staff and for the customer in person."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.common import identity_map, prose
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.common.web.cursors import PageRequest, last_id, last_moment
from perennial.loyalty.accounts import queries, service
from perennial.loyalty.accounts.schemas import AccountOut, PostingOut, SummaryOut
from perennial.loyalty.customers import owner_of
from perennial.loyalty.fields import Code
from perennial.loyalty.programme import service as programme

router = APIRouter(prefix="/v1/loyalty", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/loyalty", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
InCurrency = Annotated[Code | None, Query(description="Code of a currency; the programme's main one by default.")]


@router.get("/accounts", responses=documented(400))
async def list_accounts(_: Reader, session: Read, page: PageQuery) -> Page[AccountOut]:
    """Every customer who has an account."""
    found = await queries.owners(session, last_id(page), page.limit + 1)
    items = [AccountOut.model_validate(item) for item in await service.accounts(session, found)]
    return paged(items, page, lambda item: [item.customer_id])


@router.get("/accounts/{customer_id}", responses=documented(404))
async def get_account(_: Reader, session: Read, customer_id: UUID) -> AccountOut:
    """One customer's points and tier."""
    owner = await owner_of(session, customer_id)
    return AccountOut.model_validate((await service.accounts(session, [owner]))[0])


@router.get("/accounts/{customer_id}/ledger", responses=documented(400, 404))
async def get_ledger(
    who: Reader, session: Read, customer_id: UUID, page: PageQuery, currency: InCurrency = None
) -> Page[PostingOut]:
    """One customer's postings in a currency, the newest first."""
    found = await _ledger(session, await owner_of(session, customer_id), page, currency)
    return found.model_copy(update={"items": [_seen(who, item) for item in found.items]})


@router.get("/summary")
async def get_summary(_: Reader, session: Read, currency: InCurrency = None) -> SummaryOut:
    """All accounts in a currency together."""
    return SummaryOut.model_validate(await service.summary(session, currency))


@me.get("")
async def get_my_account(via: CustomerVia, session: Read) -> AccountOut:
    """The customer's own points and tier."""
    owner = await identity_map.customer_of(session, via) or via
    return AccountOut.model_validate((await service.accounts(session, [owner]))[0])


@me.get("/ledger", responses=documented(400))
async def get_my_ledger(
    via: CustomerVia, session: Read, page: PageQuery, currency: InCurrency = None
) -> Page[PostingOut]:
    """The customer's own postings in a currency, the newest first."""
    return await _ledger(session, await identity_map.customer_of(session, via) or via, page, currency)


def _seen(who: Principal, item: PostingOut) -> PostingOut:
    """Reasons and references are in somebody's own words: addresses and phones in them are masked."""
    words = {"reason": prose.masked(who, item.reason), "reference": prose.reference(who, item.reference)}
    return item.model_copy(update=words)


async def _ledger(session: ReadSession, owner: UUID, page: PageRequest, currency: str | None) -> Page[PostingOut]:
    code = await programme.code_of(session, currency)
    rows = await queries.ledger(session, owner, code, last_moment(page), page.limit + 1)
    items = [PostingOut.model_validate(row) for row in rows]
    return paged(items, page, lambda item: [item.at.isoformat(), item.id])
