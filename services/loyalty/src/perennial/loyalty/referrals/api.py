"""HTTP: referrals, for staff and for the customer in person."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Row

from perennial.common import identity_map, prose
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.db import ReadSession, WriteSession
from perennial.common.web import Conflict, Idempotent, Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_moment
from perennial.common.web.idempotency import Once, run
from perennial.loyalty.customers import owner_of
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.definition import Programme
from perennial.loyalty.referrals import queries, service
from perennial.loyalty.referrals.schemas import (
    MyReferralOut,
    NodeOut,
    ReferralOut,
    ReviewIn,
    SideOut,
    State,
    StatsOut,
    TermsOut,
    TreeOut,
)
from perennial.loyalty.referrals.tree import grow

router = APIRouter(prefix="/v1/loyalty", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/referral", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Manager = Annotated[Principal, Depends(requires("loyalty:manage"))]


@router.get("/referrals", responses=documented(400, 404))
async def list_referrals(
    who: Reader, session: Read, page: PageQuery,
    state: Annotated[State | None, Query(description="Null: all.")] = None, customer_id: UUID | None = None,
) -> Page[ReferralOut]:  # fmt: skip
    """Referrals, the newest first; of a customer those on either side."""
    owner = await owner_of(session, customer_id) if customer_id else None
    rows = await queries.page(session, last_moment(page), page.limit + 1, state=state, customer=owner)
    return paged([_shown(who, row) for row in rows], page, lambda item: [item.qualified_at.isoformat(), item.id])


@router.get("/referrals/{referral_id}", responses=documented(404))
async def get_referral(who: Reader, session: Read, referral_id: UUID) -> ReferralOut:
    """A referral."""
    return _shown(who, await service.get(session, referral_id))


@router.post("/referrals/{referral_id}/approve", response_model=ReferralOut, responses=documented(400, 404, 409))
async def approve_referral(
    who: Manager, session: Write, referral_id: UUID, body: ReviewIn, once: Idempotent
) -> Response:
    """Let a held referral be rewarded, once the return window is over."""
    return await _decide(who, session, referral_id, "approved", body, once)


@router.post("/referrals/{referral_id}/reject", response_model=ReferralOut, responses=documented(400, 404, 409))
async def reject_referral(
    who: Manager, session: Write, referral_id: UUID, body: ReviewIn, once: Idempotent
) -> Response:
    """Reward nobody for a held referral."""
    return await _decide(who, session, referral_id, "rejected", body, once)


@router.get("/accounts/{customer_id}/referrals/tree", responses=documented(404))
async def get_referral_tree(
    _: Reader, session: Read, customer_id: UUID, depth: Annotated[int, Query(ge=1, le=5)] = 3,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TreeOut:  # fmt: skip
    """Whom a customer brought, whom those brought, and so on."""
    owner = await owner_of(session, customer_id)
    nodes, truncated = await grow(session, owner, depth, limit)
    return TreeOut(
        customer_id=owner, nodes=[NodeOut.model_validate(node, from_attributes=True) for node in nodes],
        truncated=truncated,
    )  # fmt: skip


@me.get("")
async def get_my_referral(via: CustomerVia, session: Read) -> MyReferralOut:
    """My code and link, what friends and I get, and what came of it."""
    owner = await identity_map.customer_of(session, via) or via
    return await _mine(session, owner, await queries.code_of(session, owner))


@me.post("", status_code=201, response_model=MyReferralOut, responses=documented(400, 409))
async def make_my_code(via: CustomerVia, session: Write, once: Repeatable) -> Response:
    """Make me a code, if I have none yet."""

    async def make() -> MyReferralOut:
        if (await programme.current(session)).referral is None:
            raise Conflict("the programme rewards nobody for friends", code="no_referral")
        code = await service.code_for(session, via)
        return await _mine(session, await identity_map.customer_of(session, via) or via, code)

    return await run(once, session, make, 201)


async def _decide(
    who: Principal, session: WriteSession, referral_id: UUID, decision: str, body: ReviewIn, once: Once
) -> Response:
    async def decide() -> ReferralOut:
        return _shown(who, await service.decide(session, who, referral_id, decision, body.reason))

    return await once.run(session, decide, 200)


async def _mine(session: ReadSession, owner: UUID, code: str | None) -> MyReferralOut:
    rules = await programme.current(session)
    row, given = await queries.stats(session, owner), await queries.given(session, owner)
    return MyReferralOut(
        code=code, link=rules.referral.link.replace("{code}", code) if rules.referral and code else None,
        terms=_terms(rules),
        stats=StatsOut(came=row.came, waiting=row.waiting, rewarded=row.rewarded, points=given),
    )  # fmt: skip


def _terms(rules: Programme) -> TermsOut | None:
    said = rules.referral
    if said is None:
        return None
    main = rules.main.code
    rewards = [
        SideOut(side="referrer", points=said.referrer.points, currency=said.referrer.currency or main),
        SideOut(side="friend", points=said.friend.points, currency=said.friend.currency or main),
    ]
    return TermsOut(
        rewards=rewards, minimum=said.minimum, window_days=said.window_days, hold_days=said.hold_days
    )  # fmt: skip


def _shown(who: Principal, row: Row[Any]) -> ReferralOut:
    found = ReferralOut.model_validate(dict(row._mapping))  # noqa: SLF001
    return found.model_copy(update={"note": found.note and prose.masked(who, found.note)})
