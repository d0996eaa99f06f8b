"""`/v1/quality/report` and `/v1/quality/sources`."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from perennial.common import sheets
from perennial.common.contracts.base import utc_now
from perennial.common.problems import NotFound, Unprocessable
from perennial.common.rules import trait_key
from perennial.common.web import Page, PageQuery, Read, cursors, documented, fields, paged
from perennial.profile.params import Word
from perennial.profile.quality.params import MayRead
from perennial.profile.quality.reports import queries
from perennial.profile.quality.reports.schemas import SourceMeasures, SourceReport, TraitMeasures

router = APIRouter(prefix="/v1/quality", tags=["quality"])
Name = Annotated[Word | None, Query(max_length=200)]
Day = Annotated[fields.Day | None, Query(description="UTC.")]
DAYS, MOST_LINES, MOST_TRAITS = 30, 100_000, 2_000
_BEFORE_ALL = date(1, 1, 1)
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A page, or all of it as CSV."}
}


@router.get("/report", response_model=Page[TraitMeasures], responses={**documented(400), **_CSV})
async def get_quality_report(
    page: PageQuery,
    session: Read,
    who: MayRead,
    source: Name = None,
    key: Name = None,
    since: Day = None,
    until: Day = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Any:
    """Measures by day, source and trait, of the last 30 days where nothing is said; all of them in one CSV."""
    start, end = _span(since, until)
    name = trait_key(key) if key else None
    if format == "csv":
        rows = await queries.traits(session, source, name, start, end, (_BEFORE_ALL, "", ""), MOST_LINES)
        return _csv([TraitMeasures.of(row, who) for row in rows], TraitMeasures)
    place = cursors.last(page, cursors.day, cursors.text, cursors.text) or (_BEFORE_ALL, "", "")
    rows = await queries.traits(session, source, name, start, end, place, page.limit + 1)
    items = [TraitMeasures.of(row, who) for row in rows]
    last = rows[page.limit - 1] if len(rows) > page.limit else None
    return paged(items, page, lambda item: [str(item.day), item.source, last["key"] if last else item.key])


@router.get("/sources", responses=documented(400))
async def list_quality_sources(
    page: PageQuery, session: Read, _: MayRead, since: Day = None, until: Day = None
) -> Page[SourceMeasures]:
    """Scores and shares by day and source, of the last 30 days where nothing is said."""
    start, end = _span(since, until)
    place = cursors.last(page, cursors.day, cursors.text) or (_BEFORE_ALL, "")
    rows = await queries.sources(session, None, start, end, place, page.limit + 1)
    return paged([SourceMeasures.of(row) for row in rows], page, lambda item: [str(item.day), item.source])


@router.get("/sources/{source}", responses=documented(404))
async def get_quality_source(
    source: Annotated[Word, Path(min_length=1, max_length=200)],
    session: Read,
    who: MayRead,
    days: Annotated[int, Query(ge=1, le=400)] = DAYS,
) -> SourceReport:
    """A source as it was measured last, with its traits and the days before."""
    last = await queries.latest(session, source, utc_now().date())
    if last is None:
        raise NotFound(f"source: {source} was never measured", pointer="path/source")
    since = last - timedelta(days=days)
    *trend, now = await queries.sources(session, source, since, last, (_BEFORE_ALL, ""), days + 1)
    traits = await queries.traits(session, source, None, last, last, (_BEFORE_ALL, "", ""), MOST_TRAITS)
    return SourceReport(
        now=SourceMeasures.of(now),
        traits=[TraitMeasures.of(row, who) for row in traits],
        trend=[SourceMeasures.of(row) for row in trend],
    )


def _span(since: date | None, until: date | None) -> tuple[date, date]:
    end = until or utc_now().date()
    if since is None:
        since = end - timedelta(days=DAYS) if end > _BEFORE_ALL + timedelta(days=DAYS) else _BEFORE_ALL
    if since > end:
        raise Unprocessable("since: lies behind until", pointer="query/since", code="invalid_request")
    return since, end


def _csv(items: Sequence[BaseModel], kind: type[BaseModel]) -> Response:
    rows = (list(item.model_dump(mode="json").values()) for item in items)
    headers = {"Content-Disposition": 'attachment; filename="quality.csv"'}
    return Response(sheets.lines([list(kind.model_fields), *rows]), media_type=sheets.MEDIA_TYPE, headers=headers)
