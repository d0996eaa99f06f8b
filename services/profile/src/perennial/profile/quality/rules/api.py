"""`/v1/quality/rules` and `/v1/quality/settings`."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from fastapi import APIRouter, Request, Response

from perennial.common import audit, masks, operations
from perennial.common.auth import Principal
from perennial.common.operations import OperationOut
from perennial.common.problems import Conflict
from perennial.common.web import Idempotent, Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import LARGEST, last_id, last_number
from perennial.common.web.etags import IfMatch, tag
from perennial.common.web.idempotency import run
from perennial.profile.quality.findings.operations import APPLY, RESTORE
from perennial.profile.quality.params import MayRead, MayWrite
from perennial.profile.quality.rules import queries, service
from perennial.profile.quality.rules.scales import Scale
from perennial.profile.quality.rules.schemas import (
    Baseline,
    Compared,
    RuleIn,
    RuleOut,
    RuleVersion,
    Settings,
    SettingsOut,
)

router = APIRouter(prefix="/v1/quality", tags=["quality"])
_START = UUID(int=0)


def shown(row: Mapping[str, Any], who: Principal) -> RuleOut:
    """A rule as somebody may see it: of a trait that is masked, what is usual is hidden."""
    said = row["definition"]
    baseline = None
    if row["count"] is not None:
        sees = masks.sees(who, said["key"])
        scale = Scale(row["scale"], row["unit"])
        figures = {name: scale.shown(row[name]) if sees else None for name in ("low", "high", "centre")}
        baseline = Baseline(
            **figures, spread=row["spread"] if sees else None, of=cast("Compared", scale.kind), unit=scale.unit,
            count=row["count"], sampled=row["sampled"], at=row["measured_at"],
        )  # fmt: skip
    ready = {"outlier": baseline is not None, "duplicate": row["ready"]}.get(said["kind"], True)
    return RuleOut(
        **said, id=row["id"], version=row["version"], archived=row["archived"], ready=ready, baseline=baseline,
        updated_at=row["updated_at"], updated_by=masks.text(who, row["updated_by"]),
    )  # fmt: skip


@router.get("/rules", responses=documented(400))
async def list_quality_rules(page: PageQuery, session: Read, who: MayRead) -> Page[RuleOut]:
    """The rules in force, in the order in which they were made."""
    rows = await queries.page(session, last_id(page) or _START, page.limit + 1)
    return paged([shown(row, who) for row in rows], page, lambda item: [str(item.id)])


@router.post("/rules", status_code=201, response_model=RuleOut, responses=documented(400, 403, 409))
async def create_quality_rule(body: RuleIn, session: Write, who: MayWrite, once: Repeatable) -> Response:
    """Make a rule: it acts on what comes in from the next batch of events on, and touches nothing that is stored."""

    async def define() -> RuleOut:
        return shown(await service.define(session, who, body.model_dump(mode="json", exclude_none=True)), who)

    return await run(once, session, define, 201, location="/v1/quality/rules/{id}", etag="{version}")


@router.get("/rules/{id}", responses=documented(404))
async def get_quality_rule(id: UUID, session: Read, response: Response, who: MayRead) -> RuleOut:
    """One rule, an archived one too."""
    found = shown(await service.find(session, id), who)
    tag(response, found.version)
    return found


@router.put("/rules/{id}", responses=documented(400, 403, 404, 412, 428))
async def put_quality_rule(
    id: UUID, body: RuleIn, expected: IfMatch, session: Write, response: Response, who: MayWrite
) -> RuleOut:
    """The next version of a rule; it waits for a new baseline."""
    definition = body.model_dump(mode="json", exclude_none=True)
    found = shown(await service.change(session, who, id, definition, expected), who)
    tag(response, found.version)
    return found


@router.delete("/rules/{id}", status_code=204, responses=documented(404, 412, 428))
async def archive_quality_rule(id: UUID, expected: IfMatch, session: Write, who: MayWrite) -> None:
    """Take a rule out of force; what it found stays."""
    await service.archive(session, who, id, expected)


@router.get("/rules/{id}/versions", responses=documented(400, 404))
async def list_quality_rule_versions(id: UUID, page: PageQuery, session: Read, who: MayRead) -> Page[RuleVersion]:
    """Versions of a rule, newest first."""
    await service.find(session, id)
    rows = await queries.versions(session, id, last_number(page) or LARGEST, page.limit + 1)
    items = [RuleVersion.model_validate({**row, "by": masks.text(who, row["by"])}) for row in rows]
    return paged(items, page, lambda item: [item.version])


@router.post("/rules/{id}/apply", status_code=202, response_model=OperationOut, responses=documented(400, 404, 409))
async def apply_quality_rule(id: UUID, request: Request, session: Write, who: MayWrite, once: Idempotent) -> Response:
    """Do with what is stored what the rule does with what comes in; what was said is kept, `restore` puts it back."""

    async def work() -> OperationOut:
        found = shown(await service.find(session, id), who)
        if found.archived or found.kind not in {"outlier", "duplicate"} or not found.ready:
            raise Conflict("the rule is not one that can be applied now", code="not_ready")
        return await _start(session, who, APPLY, id)

    return await operations.accepted(request, once, session, work)


@router.post("/rules/{id}/restore", status_code=202, response_model=OperationOut, responses=documented(400, 404, 409))
async def restore_quality_rule(id: UUID, request: Request, session: Write, who: MayWrite, once: Idempotent) -> Response:
    """Put back everything that the rule took away, where nothing newer was said."""

    async def work() -> OperationOut:
        await service.find(session, id)
        return await _start(session, who, RESTORE, id)

    return await operations.accepted(request, once, session, work)


async def _start(session: Write, who: Principal, kind: str, rule: UUID) -> OperationOut:
    started = await operations.start(session, who, kind, {"rule": str(rule)})
    await audit.record(session, who, kind, str(rule), {"operation": str(started.id)})
    return started


@router.get("/settings")
async def get_quality_settings(session: Read, response: Response, _: MayRead) -> SettingsOut:
    """When a value is stale, and an event late."""
    version, body = await queries.settings(session)
    tag(response, version)
    return SettingsOut(**body, version=version)


@router.put("/settings", responses=documented(400, 412, 428))
async def put_quality_settings(
    body: Settings, expected: IfMatch, session: Write, response: Response, who: MayWrite
) -> SettingsOut:
    """Measure by other spans from the next time on."""
    version = await service.configure(session, who, body.model_dump(mode="json"), expected)
    tag(response, version)
    return SettingsOut(**body.model_dump(), version=version)
