"""Routes of runs."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy import Row

from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_id
from perennial.common.web.idempotency import run as run_once
from perennial.segments.rfm.deps import Currency, Labelling, Reader, Writer
from perennial.segments.rfm.names import KINDS
from perennial.segments.rfm.runs import queries, service
from perennial.segments.rfm.runs.schemas import Cell, Clusters, FlowOut, ModelOut, RunDetail, RunOut, Thresholds
from perennial.segments.rfm.schemas import figures

router = APIRouter(prefix="/v1/rfm/runs", tags=["rfm"])
MOST_CURRENCIES = 50


@router.get("", responses=documented(400))
async def list_rfm_runs(page: PageQuery, session: Read, who: Reader) -> Page[RunOut]:
    """The runs that are kept, the newest first."""
    rows = await queries.page(session, last_id(page), page.limit + 1)
    return paged([RunOut.of(row) for row in rows], page, lambda item: [str(item.id)])


@router.post("", status_code=201, response_model=RunOut)
async def ask_for_rfm_run(session: Write, who: Writer, once: Repeatable) -> Response:
    """Have everybody computed now, by the settings in force. The run before is read until this one serves."""

    async def ask() -> RunOut:
        return RunOut.of(await service.ask(session, who))

    return await run_once(once, session, ask, 201, location="/v1/rfm/runs/{id}")


@router.get("/{run_id}", responses=documented(404))
async def get_rfm_run(run_id: UUID, session: Read, currency: Currency, who: Reader) -> RunDetail:
    """A run: its thresholds, its centroids with the reason for their names, and its groups."""
    row = await service.find(session, run_id)
    currencies = [one.currency for one in await queries.models(session, run_id)]
    model = await queries.model(session, run_id, currency)
    return RunDetail(
        **RunOut.of(row).model_dump(), currencies=currencies[:MOST_CURRENCIES], model=model and _model(model)
    )


def _model(row: Row[Any]) -> ModelOut:
    return ModelOut(
        currency=row.currency,
        customers=row.customers,
        orders=row.orders,
        monetary=f"{row.monetary:.2f}",
        method="fixed" if row.reached else "quantile",
        thresholds=Thresholds(
            recency=row.recency,
            frequency=row.frequency,
            monetary=[f"{cut:.2f}" for cut in row.monetary_cuts],
            compared="reached" if row.reached else "exceeded",
        ),
        high=dict(zip("rfm", row.high, strict=True)),
        high_value=f"{row.value:.2f}",
        active_since=row.active_since,
        clusters=Clusters(**row.clusters, as_of=row.clustered_at),
        groups={
            by: figures(
                by,
                [
                    (line["key"], line["customers"], line["orders"], Decimal(line["monetary"]))
                    for line in row.report
                    if line["by"] == by
                ],
            )
            for by in KINDS
        },
    )


@router.get("/{run_id}/flow", responses=documented(404))
async def get_rfm_flow(
    run_id: UUID,
    session: Read,
    currency: Currency,
    who: Reader,
    by: Labelling = "group",
    to: Annotated[
        UUID | None, Query(description="A later run; else this moment, by the thresholds of the run.")
    ] = None,
) -> FlowOut:
    """How customers moved between groups: from a run to another one, or since the run that serves."""
    start = await service.find_served(session, run_id, "path/run_id")
    if to is not None:
        await service.find_served(session, to, "query/to")
        rows = await queries.flow(session, by, run_id, to, currency)
    else:
        rows = await queries.moved_since(session, by, start.id, currency)
    cells = [Cell(before=row.before, after=row.after, customers=row.customers) for row in rows]
    return FlowOut(by=by, currency=currency, run_id=run_id, to=to, cells=cells)
