"""`/v1/sources/{id}/tracking-plan`."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Response

from perennial.common.db import ReadSession
from perennial.common.web import NotFound, Page, PageQuery, Read, documented, paged
from perennial.common.web.cursors import LARGEST_INTEGER, last_number
from perennial.common.web.etags import IfMatch, IfMatchOrNew, tag
from perennial.gateway.plans import queries, service
from perennial.gateway.plans.deps import EdgeOf
from perennial.gateway.plans.enforce import Turns
from perennial.gateway.plans.models import TrackingPlan
from perennial.gateway.plans.plan import compiled
from perennial.gateway.plans.schemas import Check, Checked, CheckedAll, Finding, PlanIn, PlanOut, PlanVersion
from perennial.gateway.plans.trial import Trial, tried
from perennial.gateway.sources.api import Reader, SourceId, Writer, found

router = APIRouter(tags=["gateway"])

Version = Annotated[int, Path(ge=1, lt=2**31)]


@router.put("/v1/sources/{source_id}/tracking-plan", responses=documented(400, 404, 412, 428))
async def put_tracking_plan(
    source_id: SourceId,
    body: PlanIn,
    principal: Writer,
    expected: IfMatchOrNew,
    edge: EdgeOf,
    response: Response,
) -> PlanOut:
    """Put a tracking plan in force: the first with `If-None-Match: *`, another version with `If-Match`."""
    document = body.model_dump(by_alias=True, exclude_unset=True)
    async with edge.runtime.database.write() as session:
        plan = await service.put(session, source_id, document, by=principal, expected=expected)
    await edge.access.refresh()
    return _shown(plan, response)


@router.get("/v1/sources/{source_id}/tracking-plan", responses=documented(404))
async def get_tracking_plan(source_id: SourceId, _: Reader, session: Read, response: Response) -> PlanOut:
    """The plan in force."""
    source = await found(session, source_id)
    if source.plan_version is None:
        raise service.missing(source_id)
    return _shown(await _version(session, source_id, source.plan_version), response)


@router.delete("/v1/sources/{source_id}/tracking-plan", status_code=204, responses=documented(400, 404, 412, 428))
async def delete_tracking_plan(source_id: SourceId, principal: Writer, expected: IfMatch, edge: EdgeOf) -> None:
    """Withdraw the plan; its versions can still be read."""
    async with edge.runtime.database.write() as session:
        await service.withdraw(session, source_id, by=principal, expected=expected)
    await edge.access.refresh()


@router.get("/v1/sources/{source_id}/tracking-plan/versions", responses=documented(400, 404))
async def list_tracking_plan_versions(
    source_id: SourceId, _: Reader, session: Read, page: PageQuery
) -> Page[PlanVersion]:
    """Every version that a source's plan had, newest first."""
    await found(session, source_id)
    rows = await queries.versions(session, source_id, page.limit + 1, last_number(page, LARGEST_INTEGER))
    return paged([PlanVersion.model_validate(row) for row in rows], page, lambda item: (item.version,))


@router.get("/v1/sources/{source_id}/tracking-plan/versions/{version}", responses=documented(404))
async def get_tracking_plan_version(source_id: SourceId, version: Version, _: Reader, session: Read) -> PlanOut:
    """One version of a source's plan."""
    await found(session, source_id)
    return _out(await _version(session, source_id, version))


@router.post("/v1/sources/{source_id}/tracking-plan/check", responses=documented(400, 404))
async def check_tracking_plan(source_id: SourceId, body: Check, _: Reader, edge: EdgeOf) -> CheckedAll:
    """What would become of some events under the plan in force, or under the one in the body. Nothing is stored."""
    async with edge.runtime.database.read() as session:
        await found(session, source_id)
    plan = edge.access.plans.get(source_id)
    if body.plan is not None:
        document = body.plan.model_dump(by_alias=True, exclude_unset=True)
        plan = await asyncio.to_thread(compiled, document)
    if plan is None:
        raise service.missing(source_id)
    turns, results = Turns(), []
    for index, event in enumerate(body.events):
        results.append(_checked(index, tried(source_id, event, plan, turns)))
        await turns.rest()
    return CheckedAll(results=results)


def _checked(index: int, trial: Trial) -> Checked:
    findings = [Finding(path=path, message=message) for path, message in trial.findings]
    return Checked.model_validate({**trial._asdict(), "index": index, "findings": findings})


async def _version(session: ReadSession, source_id: str, version: int) -> TrackingPlan:
    plan = await queries.version_of(session, source_id, version)
    if plan is None:
        raise NotFound(f"version: the plan of {source_id!r} has no version {version}", pointer="path/version")
    return plan


def _out(plan: TrackingPlan) -> PlanOut:
    return PlanOut.model_validate(
        {
            "source_id": plan.source_id, "version": plan.version, "created_at": plan.created_at,
            "created_by": plan.created_by, "plan": plan.document,
        }
    )  # fmt: skip


def _shown(plan: TrackingPlan, response: Response) -> PlanOut:
    tag(response, plan.version)
    return _out(plan)
