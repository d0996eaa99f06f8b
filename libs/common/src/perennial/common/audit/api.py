"""`/v1/audit/<service>`: who did what, newest first, and the head of the chain."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from perennial.common import masks, prose
from perennial.common.audit import chain
from perennial.common.auth import Principal, requires
from perennial.common.problems import documented
from perennial.common.web import fields
from perennial.common.web.cursors import PageQuery, last_number
from perennial.common.web.deps import Read
from perennial.common.web.pages import Page, paged

_PAGE = text("""
    SELECT id, at, principal, action, subject, detail, digest FROM audit
    WHERE (CAST(:principal AS text) IS NULL OR principal = :principal)
      AND (CAST(:action AS text) IS NULL OR action = :action)
      AND (CAST(:subject AS text) IS NULL OR subject = :subject)
      AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
      AND (CAST(:before AS bigint) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :limit""")


class Entry(BaseModel):
    """One thing that somebody did."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    principal: str
    action: str
    subject: str
    detail: dict[str, Any]

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked: reasons people gave, values in rules."""
        detail = masks.properties(principal, masks.shown_conditions(principal, self.detail))
        return self.model_copy(update={"detail": prose.within(principal, detail)})


class HeadOut(BaseModel):
    """The newest link of the chain: note `head` elsewhere, and `verify-audit --head` proves that nothing was cut."""

    entries: int
    head: str | None
    at: datetime | None


Reader = Annotated[Principal, Depends(requires("audit:read"))]
Filter = Annotated[str | None, Query(max_length=300)]
Instant = Annotated[fields.Instant | None, Query()]


def router(service: str) -> APIRouter:
    """The routes of one service's trail."""
    made = APIRouter(prefix=f"/v1/audit/{service}", tags=["audit"])
    made.add_api_route("", entries, name="list_audit", responses=documented(400))
    made.add_api_route("/head", newest, name="get_audit_head")
    return made


async def entries(
    who: Reader,
    session: Read,
    page: PageQuery,
    principal: Filter = None,
    action: Filter = None,
    subject: Filter = None,
    since: Instant = None,
    until: Instant = None,
) -> Page[Entry]:
    """What was done, newest first; every filter is exact."""
    wanted = {"principal": principal, "action": action, "subject": subject, "since": since, "until": until}
    found = await session.execute(_PAGE, {**wanted, "before": last_number(page), "limit": page.limit + 1})
    return paged([Entry.model_validate(row).seen_by(who) for row in found], page, lambda entry: (entry.id,))


async def newest(_: Reader, session: Read) -> HeadOut:
    """The head of the chain."""
    head = await chain.head(session)
    if head is None:
        return HeadOut(entries=0, head=None, at=None)
    return HeadOut(entries=head.entries, head=f"{head.id}:{head.digest.hex()}", at=head.at)
