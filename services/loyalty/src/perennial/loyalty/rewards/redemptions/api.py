"""HTTP: redemptions, for staff and for the customer in person."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Row

from perennial.common import identity_map, prose
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.db import WriteSession
from perennial.common.ids import digest_uuid
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_moment
from perennial.common.web.idempotency import Once
from perennial.loyalty.customers import owner_of
from perennial.loyalty.rewards import service as catalogue
from perennial.loyalty.rewards.redemptions import queries, service
from perennial.loyalty.rewards.redemptions.schemas import (
    CancelIn,
    ConfirmIn,
    MyRedemptionOut,
    RedeemIn,
    RedemptionOut,
    State,
)
from perennial.loyalty.rewards.shown import terms

customers = APIRouter(prefix="/v1/loyalty/accounts/{customer_id}/redemptions", tags=["loyalty"])
router = APIRouter(prefix="/v1/redemptions", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/redemptions", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Writer = Annotated[Principal, Depends(requires("loyalty:write"))]
InState = Annotated[State | None, Query(description="Null: all.")]
OfReward = Annotated[UUID | None, Query(description="Null: of all.")]
HERE = "/v1/redemptions/{id}"


@customers.get("", responses=documented(400, 404))
async def list_redemptions_of_customer(
    who: Reader, session: Read, customer_id: UUID, page: PageQuery, state: InState = None
) -> Page[RedemptionOut]:
    """What one customer has redeemed, the newest first."""
    owner = await owner_of(session, customer_id)
    rows = await queries.page(session, owner, last_moment(page), page.limit + 1, state=state)
    return paged([_shown(who, row) for row in rows], page, _key)


@customers.post("", status_code=201, response_model=RedemptionOut, responses=documented(400, 404, 409))
async def redeem_for_customer(
    who: Writer, session: Write, customer_id: UUID, body: RedeemIn, once: Idempotent
) -> Response:
    """Reserve a reward for a customer, whose points are held from then on."""
    owner = await owner_of(session, customer_id)

    async def redeem() -> RedemptionOut:
        return _shown(who, await _redeem(session, owner, body, once))

    return await once.run(session, redeem, location=HERE)


@router.get("", responses=documented(400))
async def list_redemptions(
    who: Reader, session: Read, page: PageQuery, state: InState = None, reward_id: OfReward = None
) -> Page[RedemptionOut]:
    """What was redeemed, the newest first."""
    rows = await queries.page(session, None, last_moment(page), page.limit + 1, reward=reward_id, state=state)
    return paged([_shown(who, row) for row in rows], page, _key)


@router.get("/{redemption_id}", responses=documented(404))
async def get_redemption(who: Reader, session: Read, redemption_id: UUID) -> RedemptionOut:
    """A redemption."""
    return _shown(who, await service.get(session, redemption_id))


@router.post("/{redemption_id}/confirm", response_model=RedemptionOut, responses=documented(400, 404, 409))
async def confirm_redemption(
    who: Writer, session: Write, redemption_id: UUID, body: ConfirmIn, once: Idempotent
) -> Response:
    """Say that it is paid for; it is held no longer, but sold."""

    async def confirm() -> RedemptionOut:
        return _shown(who, await service.confirm(session, redemption_id, body.payment_reference))

    return await once.run(session, confirm, 200)


@router.post("/{redemption_id}/fulfil", response_model=RedemptionOut, responses=documented(400, 404, 409))
async def fulfil_redemption(who: Writer, session: Write, redemption_id: UUID, once: Idempotent) -> Response:
    """Say that the customer has it; stored credit is booked, a code is shown."""

    async def fulfil() -> RedemptionOut:
        return _shown(who, await service.fulfil(session, redemption_id))

    return await once.run(session, fulfil, 200)


@router.post("/{redemption_id}/cancel", response_model=RedemptionOut, responses=documented(400, 404, 409))
async def cancel_redemption(
    who: Writer, session: Write, redemption_id: UUID, body: CancelIn, once: Idempotent
) -> Response:
    """Call off what is not fulfilled: points and stock are given back, money is given back outside."""

    async def cancel() -> RedemptionOut:
        return _shown(who, await service.cancel(session, redemption_id, body.reason))

    return await once.run(session, cancel, 200)


@me.get("", responses=documented(400))
async def list_my_redemptions(
    via: CustomerVia, session: Read, page: PageQuery, state: InState = None
) -> Page[MyRedemptionOut]:
    """What I have redeemed, the newest first."""
    owner = await identity_map.customer_of(session, via) or via
    rows = await queries.page(session, owner, last_moment(page), page.limit + 1, state=state)
    return paged([_mine(row) for row in rows], page, _key)


@me.post("", status_code=201, response_model=MyRedemptionOut, responses=documented(400, 409))
async def redeem(via: CustomerVia, session: Write, body: RedeemIn, once: Idempotent) -> Response:
    """Reserve a reward; my points are held from then on."""

    async def reserve() -> MyRedemptionOut:
        await catalogue.check_public(session, body.reward_id)
        return _mine(await _redeem(session, via, body, once))

    return await once.run(session, reserve)


@me.post("/{redemption_id}/cancel", response_model=MyRedemptionOut, responses=documented(400, 404, 409))
async def cancel_my_redemption(via: CustomerVia, session: Write, redemption_id: UUID, once: Idempotent) -> Response:
    """Call off what is not confirmed yet: my points come back."""

    async def cancel() -> MyRedemptionOut:
        await _check_mine(session, via, redemption_id)
        return _mine(await service.cancel(session, redemption_id, unconfirmed=True))

    return await once.run(session, cancel, 200)


async def _redeem(session: WriteSession, via: UUID, body: RedeemIn, once: Once) -> Row[Any]:
    if body.confirm:
        await catalogue.check_points_alone(session, body.reward_id)
    made = digest_uuid("redemption", once.id.hex())
    row = await service.reserve(session, made, body.reward_id, via, price=body.points)
    return await service.confirm(session, made, None) if body.confirm else row


async def _check_mine(session: WriteSession, via: UUID, redemption_id: UUID) -> None:
    """Raises NotFound, for what is somebody else's as for what is not there."""
    row = await service.get(session, redemption_id)
    if row.customer_id != (await identity_map.customer_of(session, via) or via):
        raise service.unknown(redemption_id)


def _mine(row: Row[Any]) -> MyRedemptionOut:
    return MyRedemptionOut.model_validate({**row._mapping, **terms(row)})  # noqa: SLF001


def _shown(who: Principal, row: Row[Any]) -> RedemptionOut:
    """Codes are for those who manage the programme; references and notes are in somebody's own words."""
    found = RedemptionOut.model_validate({**row._mapping, **terms(row)})  # noqa: SLF001
    said = {
        "payment_reference": prose.reference(who, found.payment_reference),
        "note": found.note and prose.masked(who, found.note),
        "code": found.code if who.may("loyalty:manage") else None,
    }
    return found.model_copy(update=said)


def _key(item: MyRedemptionOut) -> list[Any]:
    return [item.reserved_at.isoformat(), item.id]
