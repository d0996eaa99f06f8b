"""HTTP: what splits of customers left owed, for staff."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from perennial.common import prose
from perennial.common.auth import Principal, requires
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_moment
from perennial.loyalty.customers import owner_of
from perennial.loyalty.debts import queries, service
from perennial.loyalty.points.schemas import Reason

router = APIRouter(prefix="/v1/loyalty/debts", tags=["loyalty"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Adjuster = Annotated[Principal, Depends(requires("loyalty:adjust"))]
State = Literal["debt", "review", "waived", "rejoined"]


class DebtOut(BaseModel):
    """What a customer owed another at their split, and what became of that."""

    id: UUID
    posting_id: UUID = Field(description="The spending that had used the other's points.")
    customer_id: UUID
    lender_id: UUID = Field(description="Whose points they were.")
    currency: str
    points: int = Field(description="What was owed at the split; what is earned later pays for it.")
    state: State = Field(description="Rejoined: the two are one customer again, and nothing is owed.")
    at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


class DebtDecisionIn(BaseModel):
    """What becomes of a debt, and why."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["waive", "debt"] = Field(description="The programme gives the points, or they stay owed.")
    reason: Reason


@router.get("", responses=documented(400, 404))
async def list_debts(
    who: Reader, session: Read, page: PageQuery,
    state: Annotated[State | None, Query(description="Null: all.")] = None, customer_id: UUID | None = None,
) -> Page[DebtOut]:  # fmt: skip
    """What customers owe because they were split, the newest first."""
    owner = await owner_of(session, customer_id) if customer_id else None
    rows = await queries.page(session, last_moment(page), page.limit + 1, state=state, customer=owner)
    return paged([_shown(who, row) for row in rows], page, lambda item: [item.at.isoformat(), item.id])


@router.post("/{debt_id}/decide", response_model=DebtOut, responses=documented(400, 404, 409))
async def decide_debt(who: Adjuster, session: Write, debt_id: UUID, body: DebtDecisionIn, once: Idempotent) -> Response:
    """Waive a debt, or let it be owed."""

    async def decide() -> DebtOut:
        await service.decide(session, who, debt_id, waive=body.decision == "waive", note=body.reason)
        row = await queries.get(session, debt_id)
        if row is None:
            raise service.unknown(debt_id)
        return _shown(who, row)

    return await once.run(session, decide, 200)


def _shown(who: Principal, row: Row[Any]) -> DebtOut:
    found = DebtOut.model_validate(dict(row._mapping))  # noqa: SLF001
    return found.model_copy(update={"note": found.note and prose.masked(who, found.note)})
