"""HTTP: why a customer has a tier, how it has changed, and what staff say of it."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from perennial.common import identity_map, prose
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.ids import digest_uuid
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_moment, last_number
from perennial.loyalty.customers import owner_of
from perennial.loyalty.tiers import explain as explaining
from perennial.loyalty.tiers.overrides import queries, service
from perennial.loyalty.tiers.schemas import ExplanationOut, OverrideIn, OverrideOut, TierChangeOut

router = APIRouter(prefix="/v1/loyalty/accounts/{customer_id}", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/loyalty", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Adjuster = Annotated[Principal, Depends(requires("loyalty:adjust"))]


@router.get("/tier", responses=documented(404))
async def explain_tier(_: Reader, session: Read, customer_id: UUID) -> ExplanationOut:
    """Why this tier, and what would change it, and when."""
    owner = await owner_of(session, customer_id)
    return ExplanationOut.model_validate(await explaining.explain(session, owner, datetime.now(UTC)))


@me.get("/tier")
async def explain_my_tier(via: CustomerVia, session: Read) -> ExplanationOut:
    """Why I have this tier, and what would change it, and when."""
    owner = await identity_map.customer_of(session, via) or via
    return ExplanationOut.model_validate(await explaining.explain(session, owner, datetime.now(UTC)))


@router.get("/tier-history", responses=documented(400, 404))
async def list_tier_history(_: Reader, session: Read, customer_id: UUID, page: PageQuery) -> Page[TierChangeOut]:
    """The tiers that a customer was told, the newest first; those of merged customers too."""
    owner = await owner_of(session, customer_id)
    rows = await queries.history(session, owner, last_number(page), page.limit + 1)
    return paged([TierChangeOut.model_validate(row) for row in rows], page, lambda item: [item.version])


@router.get("/tier-overrides", responses=documented(400, 404))
async def list_tier_overrides(who: Reader, session: Read, customer_id: UUID, page: PageQuery) -> Page[OverrideOut]:
    """What staff said of a customer's tier, the newest first."""
    owner = await owner_of(session, customer_id)
    rows = await queries.page(session, owner, last_moment(page), page.limit + 1)
    return paged([_shown(who, row) for row in rows], page, lambda item: [item.set_at.isoformat(), item.id])


@router.post("/tier-overrides", status_code=201, response_model=OverrideOut, responses=documented(400, 404, 409))
async def override_tier(
    who: Adjuster, session: Write, customer_id: UUID, body: OverrideIn, once: Idempotent
) -> Response:
    """Put a customer in a tier until a day; who did it and why is kept."""
    owner = await owner_of(session, customer_id)

    async def say() -> OverrideOut:
        values = {"id": digest_uuid("tier", once.id.hex()), "via": owner, **body.model_dump()}
        now = datetime.now(UTC)
        await service.say(session, who, values, now)
        return OverrideOut(**values, author=who.id, set_at=now, ended_at=None, ended_by=None)

    return await once.run(session, say)


@router.delete("/tier-overrides/{override_id}", status_code=204, responses=documented(404))
async def end_tier_override(who: Adjuster, session: Write, customer_id: UUID, override_id: UUID) -> None:
    """Take an override back: from now on the tier is what was earned."""
    await service.end(session, who, await owner_of(session, customer_id), override_id, datetime.now(UTC))


def _shown(who: Principal, row: object) -> OverrideOut:
    found = OverrideOut.model_validate(row)
    return found.model_copy(update={"reason": prose.masked(who, found.reason)})
