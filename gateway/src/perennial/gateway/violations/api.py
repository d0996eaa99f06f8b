"""`/v1/sources/{id}/violations`."""

import functools
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common import operations
from perennial.common.auth import Principal
from perennial.common.operations import Async, OperationOut
from perennial.common.web import Forbidden, Page, PageQuery, Read, documented, paged
from perennial.common.web.cursors import last_number
from perennial.common.web.deps import runtime_of
from perennial.common.web.fields import Day
from perennial.gateway.sources.api import Reader, SourceId, Writer, found
from perennial.gateway.violations import operation, queries
from perennial.gateway.violations.deps import EdgeOf
from perennial.gateway.violations.filters import Filter
from perennial.gateway.violations.models import ViolationCount
from perennial.gateway.violations.schemas import (
    MOST,
    DayCount,
    Replay,
    Replayed,
    Series,
    StillRejected,
    Summary,
    ViolationOut,
    filtered,
    said_to,
)
from perennial.gateway.violations.service import Terms

router = APIRouter(tags=["gateway"])

MOST_SERIES = 500
Wanted = Annotated[Filter, Depends(filtered)]


@router.get("/v1/sources/{source_id}/violations", responses=documented(400, 404))
async def list_violations(
    source_id: SourceId, wanted: Wanted, principal: Reader, session: Read, page: PageQuery, response: Response
) -> Page[ViolationOut]:
    """Events of a source that broke a rule in the last thirty days, newest first."""
    await found(session, source_id)
    rows = await queries.page(session, source_id, wanted, page.limit + 1, last_number(page))
    response.headers["Cache-Control"] = "no-store"
    return paged([ViolationOut.of(row, principal) for row in rows], page, lambda item: (item.id,))


@router.get("/v1/sources/{source_id}/violations/summary", responses=documented(400, 404))
async def summarise_violations(
    source_id: SourceId,
    principal: Reader,
    session: Read,
    since: Annotated[Day | None, Query(description="First day, UTC.")] = None,
    until: Annotated[Day | None, Query(description="Last day, UTC.")] = None,
) -> Summary:
    """How often each rule was broken, by name of the event and by day."""
    await found(session, source_id)
    return _summary(principal, await queries.counted(session, source_id, since, until))


@router.post(
    "/v1/sources/{source_id}/violations/replay", response_model=Replayed,
    responses={**documented(400, 404, 503), 202: {"model": OperationOut}},
)  # fmt: skip
async def replay_violations(
    source_id: SourceId, body: Replay, request: Request, principal: Writer, edge: EdgeOf, later: Async
) -> Response | Replayed:
    """Judge rejected events again under today's rules and tracking plan, after a fix.

    A thousand at a time, or with `Prefer: respond-async` all that match now, as an operation. They keep their old time
    of arrival and message id; nothing follows from them but state. An event that is replayed twice counts once. What
    was larger than 64 KiB is not kept whole and cannot be replayed.
    """
    async with edge.runtime.database.read() as session:
        source = await found(session, source_id)
    if body.as_import and not source.may_import:
        raise Forbidden("as_import: this source may not import", code="import_not_allowed", pointer="/as_import")
    if later and body.ids is None and not body.dry_run:
        return await _started(request, source_id, body, principal)
    ids, left = sorted(set(body.ids or ())), 0
    if body.ids is None:
        ids, left = await edge.replayer.choose(source_id, body.filter(), MOST, body.after)
    terms = Terms(edge.access.plans.get(source_id), body.patch, body.again, body.as_import)
    verdicts = await edge.replayer.replay(source_id, ids, terms, by=principal, dry_run=body.dry_run)
    bad = [
        StillRejected(id=one.id, code=one.code, message=said_to(principal, one.message) or "")
        for one in verdicts
        if one.event is None
    ]
    return Replayed(
        replayed=len(verdicts) - len(bad), rejected=bad, remaining=left, after=ids[-1] if ids else body.after,
        dry_run=body.dry_run,
    )  # fmt: skip


async def _started(request: Request, source_id: str, body: Replay, principal: Principal) -> Response:
    async with runtime_of(request).database.write() as session:
        call = functools.partial(operation.start, session, principal, source_id, body)
        return await operations.accepted(request, None, session, call)


def _summary(principal: Principal, counts: Iterable[ViolationCount]) -> Summary:
    totals: Counter[tuple[str, str, str]] = Counter()
    days: dict[tuple[str, str, str], list[DayCount]] = {}
    for row in counts:
        key = (row.code, row.outcome, row.name)
        totals[key] += row.count
        days.setdefault(key, []).append(DayCount(day=row.day, count=row.count))
    series = [
        Series.model_validate(
            {
                "code": key[0],
                "outcome": key[1],
                "name": said_to(principal, key[2]) or None,
                "count": count,
                "days": days[key],
            }
        )
        for key, count in totals.most_common(MOST_SERIES)
    ]
    return Summary(total=totals.total(), series=series)
