"""Routes of the life cycle."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import Row

from perennial.common import audit, identity_map, masks, rules
from perennial.common.auth import Principal
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_number
from perennial.common.web.etags import NEW, IfMatch, IfMatchOrNew, match, tag
from perennial.profile.params import nobody
from perennial.profile.stages import queries, service
from perennial.profile.stages.schemas import (
    LadderIn,
    LadderOut,
    Lifecycle,
    LifecycleIn,
    LifecycleSummary,
    StageChangeOut,
    StageCount,
    StageSetting,
)
from perennial.profile.tags import counting
from perennial.profile.tags.assignments.api import MayEdit
from perennial.profile.tags.definitions.api import KeyPath, MayDefine, MayLook
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["lifecycle"])


@router.get("/v1/lifecycle", responses=documented(404))
async def get_lifecycle(response: Response, session: Read, who: MayLook) -> Lifecycle:
    """The ladder in use, and those there are."""
    row = await service.lifecycle(session)
    tag(response, row.version)
    ladders = [_ladder(ladder, who) for ladder in await queries.ladders(session)]
    return Lifecycle(ladder=row.ladder, version=row.version, ladders=ladders)


@router.put("/v1/lifecycle", responses=documented(400, 404, 412, 428))
async def choose_ladder(
    body: LifecycleIn, expected: IfMatch, response: Response, session: Write, who: MayDefine
) -> Lifecycle:
    """Use another ladder; customers stand on its stages as soon as they have been looked at, in the background."""
    match(expected, (await service.lifecycle(session, lock=True)).version)
    await service.choose(session, body.ladder)
    await audit.record(session, who, "lifecycle.changed", body.ladder)
    return await get_lifecycle(response, session, who)


@router.get("/v1/lifecycle/summary", responses=documented(404))
async def summarise_lifecycle(session: Read, _: MayRead) -> LifecycleSummary:
    """How many customers stand on each stage of the ladder in use, as it was a few minutes ago."""
    ladder = await service.find(session, (await service.lifecycle(session)).ladder)
    found = await counting.counted(session, counting.STAGE, ladder.key)
    items = [
        StageCount(key=stage["key"], label=stage["label"], customers=found.customers.get(stage["key"], 0))
        for stage in ladder.stages
    ]
    return LifecycleSummary(ladder=ladder.key, as_of=found.at, items=items)


@router.get("/v1/lifecycle/ladders/{key}", responses=documented(404))
async def get_ladder(key: KeyPath, response: Response, session: Read, who: MayLook) -> LadderOut:
    """One ladder."""
    row = await service.find(session, key)
    tag(response, row.version)
    return _ladder(row, who)


@router.put("/v1/lifecycle/ladders/{key}", responses=documented(400, 412, 428))
async def replace_ladder(
    key: KeyPath, body: LadderIn, expected: IfMatchOrNew, response: Response, session: Write, who: MayDefine
) -> LadderOut:
    """A new ladder, or a new version of one."""
    known = await queries.ladder(session, key, lock=True)
    if known is not None:
        match(expected, known.version)
    elif expected != NEW:
        known = await service.find(session, key)
    row = await service.replace(session, who, key, body.model_dump(), known)
    await audit.record(session, who, "ladder.changed", key, {"stages": [stage.key for stage in body.stages]})
    tag(response, row.version)
    return _ladder(row, who)


@router.get("/v1/customers/{id}/stages", responses=documented(400, 404))
async def list_stages(id: UUID, page: PageQuery, session: Read, who: MayRead) -> Page[StageChangeOut]:
    """The customer's steps through the life cycle, the newest first.

    A step stays with the id that took it. After a merge the steps of all ids are shown together; when it is undone,
    each has its own again.
    """
    customer = await identity_map.customer_of(session, id)
    if customer is None:
        raise nobody(id)
    rows = await queries.history(session, customer, last_number(page), page.limit + 1)
    found = [StageChangeOut.model_validate(row._mapping) for row in rows]  # noqa: SLF001 (public API)
    return paged(
        [step.model_copy(update={"by": masks.text(who, step.by)}) for step in found], page, lambda item: [item.id]
    )


@router.put("/v1/customers/{id}/stage", status_code=204, responses=documented(404))
async def set_stage(id: UUID, body: StageSetting, session: Write, who: MayEdit) -> None:
    """Say a customer's stage, against the rules; the lists show it within moments."""
    await service.say(session, who, id, body.model_dump())
    await audit.record(session, who, "customer.stage_set", str(id), body.model_dump(mode="json"))


@router.delete("/v1/customers/{id}/stage", status_code=204, responses=documented(404))
async def release_stage(id: UUID, session: Write, who: MayEdit) -> None:
    """Leave a customer's stage to the rules again."""
    await service.say(session, who, id, None)
    await audit.record(session, who, "customer.stage_released", str(id))


def _ladder(row: Row[Any], who: Principal) -> LadderOut:
    """A ladder as the principal may see it."""
    stages = []
    for stage in row.stages:
        rule = masks.shown_rule(who, rules.parse(stage["rule"]))
        stages.append({**stage, "rule": rules.dump(rule), "sentence": rules.describe(rule)})
    return LadderOut.model_validate({**row._mapping, "stages": stages})  # noqa: SLF001 (public API)
