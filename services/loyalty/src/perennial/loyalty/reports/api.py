"""HTTP: reports, as JSON and as CSV."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common import operations
from perennial.common.auth import Principal, requires
from perennial.common.operations import OperationOut
from perennial.common.sheets import MEDIA_TYPE, lines
from perennial.common.web import Idempotent, NotFound, Page, Read, Write, documented
from perennial.loyalty.fields import Code
from perennial.loyalty.reports import queries, service
from perennial.loyalty.reports.catalogue import REPORTS, Report
from perennial.loyalty.reports.schemas import ColumnOut, ReportInfo, ReportOut

router = APIRouter(prefix="/v1/loyalty/reports", tags=["loyalty"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Manager = Annotated[Principal, Depends(requires("loyalty:manage"))]
Month = Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="Such as 2026-03.")]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The report, or its CSV."}
}


@router.get("")
async def list_reports(_: Reader, session: Read) -> Page[ReportInfo]:
    """The reports there are, what their figures mean, and when they were made."""
    made = await queries.made_at(session)
    return Page(items=[ReportInfo(**_about(name, item, made.get(name))) for name, item in REPORTS.items()])


@router.get("/{name}", response_model=ReportOut, responses={**documented(404), **_CSV})
async def get_report(
    _: Reader,
    session: Read,
    name: str,
    currency: Annotated[Code | None, Query(description="Null: all.")] = None,
    since: Month = None,
    until: Month = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
    part: Annotated[Literal["figures", "definitions"], Query(description="Of the CSV.")] = "figures",
    bom: Annotated[bool, Query(description="Of the CSV, for Excel, which reads UTF-8 only so.")] = False,  # noqa: FBT002 (a query parameter)
) -> Any:
    """A report as it was last made, a few hours ago at most; its figures are defined in the answer.

    The CSV has the figures, or the definitions of its columns.
    """
    if name not in REPORTS:
        raise NotFound(f"name: the reports are {', '.join(REPORTS)}", pointer="path/name")
    made = await service.read(session, name)
    rows = service.chosen(made.rows, currency, since, until)
    columns = made.report.columns
    if format == "csv":
        table: list[Sequence[object]] = [("column", "definition"), *columns.items()]
        if part == "figures":
            table = [list(columns), *([row.get(column) for column in columns] for row in rows)]
        return _sheet(name, lines(table, bom=bom))
    items = [{column: row.get(column) for column in columns} for row in rows]
    return ReportOut(**_about(name, made.report, made.as_of), items=items)


@router.post("/refresh", status_code=202, response_model=OperationOut, responses=documented(400, 409))
async def refresh_reports(request: Request, session: Write, who: Manager, once: Idempotent) -> Response:
    """Have every report made now, rather than within hours."""

    async def work() -> OperationOut:
        return await operations.start(session, who, service.KIND, {}, total=len(REPORTS))

    return await operations.accepted(request, once, session, work)


def _about(name: str, report: Report, as_of: datetime | None) -> Mapping[str, Any]:
    columns = [ColumnOut(name=column, definition=said) for column, said in report.columns.items()]
    return {"name": name, "title": report.title, "about": report.about, "as_of": as_of, "columns": columns}


def _sheet(name: str, sheet: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Link": f'</v1/loyalty/reports/{name}?format=csv&part=definitions>; rel="describedby"',
    }
    return Response(sheet, media_type=MEDIA_TYPE, headers=headers)
