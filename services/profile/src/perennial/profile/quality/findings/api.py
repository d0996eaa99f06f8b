"""`/v1/quality/findings`."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from perennial.common import audit, masks
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.problems import Conflict, NotFound
from perennial.common.rules import trait_key
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_id
from perennial.common.web.idempotency import run
from perennial.profile.params import Word
from perennial.profile.quality.findings import queries, service
from perennial.profile.quality.findings.records import NOBODY
from perennial.profile.quality.findings.schemas import FindingOut, State
from perennial.profile.quality.params import MayRead, MayWrite
from perennial.profile.traits import sealing

router = APIRouter(prefix="/v1/quality/findings", tags=["quality"])
Name = Annotated[Word | None, Query(max_length=200)]


def shown(session: ReadSession, row: Mapping[str, Any], who: Principal) -> FindingOut:
    """A finding as somebody may see it: values as the trait would be shown."""
    vault, key = sealing.vault_of(session), row["key"]
    of_source = row["via"] == NOBODY

    def seen(stored: Any) -> Any:
        return stored if of_source else masks.trait(who, key, sealing.opened(vault, key, stored))

    same = {
        name: row[name] for name in ("id", "rule", "kind", "action", "source", "at", "state", "found_at", "ended_at")
    }
    return FindingOut(
        **same,
        rule_name=masks.text(who, row["rule_name"]), key=masks.text(who, key), via=None if of_source else row["via"],
        customer=row["customer_id"], value=seen(row["value"]), taken=seen(row["taken"]),
    )  # fmt: skip


@router.get("", responses=documented(400))
async def list_quality_findings(
    page: PageQuery,
    session: Read,
    who: MayRead,
    rule: Annotated[UUID | None, Query()] = None,
    source: Name = None,
    key: Name = None,
    state: Annotated[State | None, Query()] = None,
) -> Page[FindingOut]:
    """What rules have caught, the newest first."""
    wanted = {"rule": rule, "source": source, "key": trait_key(key) if key else None, "state": state}
    rows = await queries.listing(session, wanted, last_id(page), page.limit + 1)
    return paged([shown(session, row, who) for row in rows], page, lambda item: [str(item.id)])


@router.post("/{id}/release", response_model=FindingOut, responses=documented(400, 404, 409))
async def release_quality_finding(id: UUID, session: Write, who: MayWrite, once: Repeatable) -> Response:
    """Undo what a rule did with one statement: it stands again, where nothing newer was said. A flag is taken off."""

    async def work() -> FindingOut:
        row = await queries.one(session, id)
        if row is None:
            raise NotFound(f"id: there is no finding {id}", pointer="path/id")
        if row["state"] != "open":
            raise Conflict(f"the finding is {row['state']} already", code="finding_ended")
        if not await service.restore(session, [id]):
            raise Conflict("the definition of today does not take the value", code="unfit")
        await audit.record(session, who, "quality_finding.released", str(id))
        released = await queries.one(session, id)
        assert released is not None  # noqa: S101 (it was there)
        return shown(session, released, who)

    return await run(once, session, work)
