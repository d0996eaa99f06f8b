"""Routes of RFM: where customers stand, and what their groups are worth."""

import csv
import io
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from perennial.common import identity_map
from perennial.common.db import ReadSession
from perennial.common.problems import BadRequest, NotFound
from perennial.common.web import Page, PageQuery, Read, cursors, documented, paged
from perennial.common.web.cursors import PageRequest
from perennial.segments.rfm.deps import Currency, Labelling, Reader, Settings
from perennial.segments.rfm.names import By
from perennial.segments.rfm.runs import queries as runs
from perennial.segments.rfm.runs.service import find_served
from perennial.segments.rfm.schemas import Figures, GroupOut, ReportOut, RfmOut, RfmSummary, figures
from perennial.segments.rfm.standings import queries

router = APIRouter(prefix="/v1/rfm", tags=["rfm"])
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The report, as JSON or as CSV."}
}


@router.get("/summary")
async def summarise_rfm(session: Read, currency: Currency, who: Reader) -> RfmSummary:
    """The groups and what they are worth now, by the thresholds of the last run."""
    run = await runs.serving(session)
    rows = await queries.figures(session, run.id, currency, "group") if run else []
    return RfmSummary(
        customers=sum(row.customers for row in rows),
        orders=sum(row.orders for row in rows),
        currency=currency,
        groups=[GroupOut(group=row.key, customers=row.customers, monetary=f"{row.monetary:.2f}") for row in rows],
        as_of=run and run.as_of,
        run_id=run and run.id,
    )


@router.get("/report", response_model=ReportOut, responses={**documented(404), **_CSV})
async def report_rfm(
    session: Read,
    currency: Currency,
    who: Reader,
    by: Labelling = "group",
    run_id: Annotated[UUID | None, Query(description="As this run found it; else as it is now.")] = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Any:
    """Customers, share, money and average of every group."""
    report = await _report(session, currency, by, run_id)
    return _csv(report) if format == "csv" else report


async def _report(session: ReadSession, currency: str, by: By, run_id: UUID | None) -> ReportOut:
    run = await runs.serving(session) if run_id is None else await find_served(session, run_id)
    found: list[tuple[str | None, int, int, Decimal]] = []
    if run and run_id is None:
        rows = await queries.figures(session, run.id, currency, by)
        found = [(row.key, row.customers, row.orders, row.monetary) for row in rows]
    elif run:
        model = await runs.model(session, run.id, currency)
        said = [line for line in (model.report if model else []) if line["by"] == by]
        found = [(line["key"], line["customers"], line["orders"], Decimal(line["monetary"])) for line in said]
    return ReportOut(
        by=by,
        currency=currency,
        run_id=run and run.id,
        as_of=run and run.as_of,
        customers=sum(line[1] for line in found),
        orders=sum(line[2] for line in found),
        monetary=f"{sum((line[3] for line in found), Decimal(0)):.2f}",
        groups=figures(by, found),
    )


def _csv(report: ReportOut) -> Response:
    held = io.StringIO(newline="")
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow(Figures.model_fields)
    writer.writerows(item.model_dump().values() for item in report.groups)
    headers = {"Content-Disposition": f'attachment; filename="rfm-{report.by}-{report.currency}.csv"'}
    return Response(held.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/customers", responses=documented(400))
async def list_rfm(
    page: PageQuery,
    session: Read,
    settings: Settings,
    currency: Currency,
    who: Reader,
    group: Annotated[str | None, Query(max_length=50)] = None,
) -> Page[RfmOut]:
    """Every customer with an order, by customer id. All pages are of the run that served when the first was read."""
    run, after = await _place(session, page)
    if run is None:
        return Page(items=[])
    rows = await queries.page(session, run, currency, group, after, page.limit + 1, settings.timezone)
    return paged([RfmOut.of(row) for row in rows], page, lambda item: [str(run), str(item.customer_id)])


async def _place(session: ReadSession, page: PageRequest) -> tuple[UUID | None, UUID | None]:
    """The run that is read, and the last customer seen."""
    place = cursors.last(page, cursors.uuid, cursors.uuid)
    if place is None:
        serving = await runs.serving(session)
        return serving and serving.id, None
    run, after = place
    if await runs.one(session, run) is None:
        raise BadRequest("cursor: its run is kept no more, begin anew", code="bad_cursor", pointer="query/cursor")
    return run, after


@router.get("/customers/{customer_id}", responses=documented(404))
async def get_rfm(customer_id: UUID, session: Read, settings: Settings, currency: Currency, who: Reader) -> RfmOut:
    """One customer's standing; old ids answer too."""
    customer = await identity_map.customer_of(session, customer_id)
    found = await queries.of_customers(session, [customer] if customer else [], currency, settings.timezone)
    if customer is None or customer not in found:
        raise NotFound("customer: there is none with this id and an order", pointer="path/customer_id")
    return RfmOut.of(found[customer])
