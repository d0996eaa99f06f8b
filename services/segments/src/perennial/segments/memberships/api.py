"""Routes of memberships: who is in, who was, why; and of a customer, where."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.common.auth import Principal, requires
from perennial.common.problems import Unprocessable
from perennial.common.web import PageQuery, Read, documented, paged
from perennial.common.web.cursors import last_id, last_number
from perennial.common.web.fields import Instant
from perennial.common.web.reasons import Reason
from perennial.common.web.reasons import reason as explained
from perennial.segments.definitions import service as definitions
from perennial.segments.history import queries as history
from perennial.segments.memberships import queries
from perennial.segments.memberships.explain import Explained, explain, today
from perennial.segments.memberships.schemas import (
    Change,
    Changes,
    ExplainOut,
    InSegment,
    InSegments,
    MemberOut,
    MembersOut,
)

router = APIRouter(tags=["segments"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]
At = Annotated[
    Instant | None,
    Query(
        description="Who was in at this time, as it was known then; left out: who is in now. "
        "A time of which nothing is kept any more is refused, with the earliest that is known."
    ),
]


@router.get("/v1/segments/{segment_id}/members", responses=documented(400, 404))
async def list_members(segment_id: UUID, page: PageQuery, session: Read, who: Reader, at: At = None) -> MembersOut:
    """The members, by customer id: of today, or of a time in the past."""
    row = await definitions.find(session, segment_id)
    if at is None:
        rows = await queries.page(session, segment_id, last_id(page), page.limit + 1)
    elif at > datetime.now(UTC):
        raise Unprocessable("at: lies in the future", code="in_the_future", pointer="query/at")
    else:
        rows = await queries.page_at(session, segment_id, at, last_id(page), page.limit + 1)
        since = await history.changes_since(session)  # asked last: what was dropped meanwhile had been said first
        if since is not None and at < since:
            raise Unprocessable(
                f"at: who was in is known since {since.isoformat()}", code="not_kept", pointer="query/at"
            )
    items = [MemberOut(customer_id=row.customer_id, since=row.since) for row in rows]
    found = paged(items, page, lambda item: [str(item.customer_id)])
    return MembersOut(items=found.items, next_cursor=found.next_cursor, as_of=at or row.as_of)


@router.get("/v1/segments/{segment_id}/members/{customer_id}/explain", responses=documented(404))
async def explain_member(segment_id: UUID, customer_id: UUID, session: Read, who: Reader) -> ExplainOut:
    """Why a customer is a member, or is not: each part of the rule with what it saw."""
    found = await explain(session, who, await definitions.find(session, segment_id), customer_id)
    reason = _listed(found) if found.reason is None else explained(found.reason, who)
    return ExplainOut(
        customer_id=found.customer, member=found.member, version=found.version, as_of=found.at, reason=reason
    )


def _listed(found: Explained) -> Reason:
    evidence = [{"at": row.at, "by": row.by} for row in found.noted]
    return Reason(pointer="", phrase="is on the list", holds=bool(evidence), value=bool(evidence), evidence=evidence)


@router.get("/v1/customers/{customer_id}/segments", responses=documented(400, 404))
async def list_segments_of(customer_id: UUID, page: PageQuery, session: Read, who: Reader) -> InSegments:
    """The segments that a customer is in."""
    customer = await today(session, customer_id)
    rows = await queries.segments_of(session, customer, last_id(page), page.limit + 1)
    items = [InSegment(segment_id=row.segment_id, name=row.name, since=row.since) for row in rows]
    found = paged(items, page, lambda item: [str(item.segment_id)])
    as_of = await queries.fresh(session)
    return InSegments(items=found.items, next_cursor=found.next_cursor, customer_id=customer, as_of=as_of)


@router.get("/v1/customers/{customer_id}/segments/history", responses=documented(400, 404))
async def list_changes_of(customer_id: UUID, page: PageQuery, session: Read, who: Reader) -> Changes:
    """Every entry and exit of a customer, the newest first, as they were known then.

    Those of the customers who were merged into this one are among them, each under the id of then. Of what was before
    `complete_since` only entries into segments that they were in at that time are left.
    """
    customer, until = await today(session, customer_id), last_number(page)
    rows = await queries.changes_of(session, customer, until, page.limit + 1)
    found = paged(rows, page, lambda row: [row.id])
    items = [Change(**row._mapping) for row in found.items]  # noqa: SLF001 (public API)
    return Changes(items=items, next_cursor=found.next_cursor, complete_since=await history.changes_since(session))
