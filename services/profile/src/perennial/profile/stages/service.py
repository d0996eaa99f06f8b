"""The verbs of the life cycle: choose a ladder, change one, say a customer's stage."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identity_map, rules
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import mark
from perennial.common.problems import NotFound, Unprocessable
from perennial.profile.params import nobody
from perennial.profile.stages import queries, telling
from perennial.profile.tags import recompute
from perennial.profile.tags.definitions.compiled import STAGE
from perennial.profile.tags.definitions.service import by, read_rule
from perennial.profile.tags.words.hearing import shipped

FIRST = "retail"


async def seed(session: WriteSession) -> list[str]:
    """Bring the ladders into the database where the shop has not made them its own; returns what changed."""
    documents = []
    for ladder in shipped("perennial.profile.stages", "ladders.json"):
        digest = sha256(json.dumps(ladder, sort_keys=True).encode()).hexdigest()
        documents.append({**ladder, "origin": "preset", "digest": digest, "edited": False})
    changed = await queries.put(session, documents)
    await queries.begin(session, FIRST)
    if changed:
        await recompute.want(session)
    return changed


async def lifecycle(session: ReadSession, *, lock: bool = False) -> Row[Any]:
    """Which ladder is in use. Raises NotFound before there is one."""
    row = await queries.lifecycle(session, lock=lock)
    if row is None:
        raise NotFound("lifecycle: it is being set up", pointer="path")
    return row


async def choose(session: WriteSession, key: str) -> None:
    """Use another ladder; everybody is looked at in the background. Raises Unprocessable where there is none."""
    if await queries.ladder(session, key) is None:
        raise Unprocessable(f"ladder: there is no ladder {key!r}", code="unknown_ladder", pointer="/ladder")
    await queries.choose(session, key)
    await telling.tell(session)
    await recompute.want(session)


async def find(session: ReadSession, key: str) -> Row[Any]:
    """A ladder. Raises NotFound."""
    row = await queries.ladder(session, key)
    if row is None:
        raise NotFound(f"key: there is no ladder {key!r}", pointer="path/key")
    return row


async def replace(
    session: WriteSession, who: Principal, key: str, body: Mapping[str, Any], known: Row[Any] | None
) -> Row[Any]:
    """A new ladder, or a new version of one: `label`, `stages`."""
    stages = [_stage(who, position, stage) for position, stage in enumerate(body["stages"])]
    document = {
        "key": key, "label": body["label"], "stages": stages,
        "origin": "own" if known is None else known.origin, "edited": True,
    }  # fmt: skip
    await queries.put(session, [document])
    await telling.tell(session, key)
    if (await lifecycle(session)).ladder == key:
        await recompute.want(session)
    return await find(session, key)


def _stage(who: Principal, position: int, stage: Mapping[str, Any]) -> dict[str, Any]:
    pointer = f"/stages/{position}/rule"
    rule = read_rule(who, stage["rule"], pointer)
    if STAGE in rules.footprint(rule).traits:
        raise Unprocessable("rule: a stage cannot depend on the stage", code="invalid_rule", pointer=pointer)
    return {**stage, "rule": rules.dump(rule)}


async def say(session: WriteSession, who: Principal, any_id: UUID, body: Mapping[str, Any] | None) -> None:
    """Set a customer's `stage` (`why`, `expires_at`); None leaves it to the rules. Raises NotFound, Unprocessable."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    ladder, now = await find(session, (await lifecycle(session)).ladder), utc_now()
    said: dict[str, Any] = {"stage": None, "why": None, "expires_at": None}
    if body is not None:
        if body["stage"] not in _keys(ladder.stages):
            raise Unprocessable(
                f"stage: must be one of {', '.join(_keys(ladder.stages))}", code="unknown_stage", pointer="/stage"
            )
        if body["expires_at"] is not None and body["expires_at"] <= now:
            raise Unprocessable("expires_at: must lie ahead", code="invalid_request", pointer="/expires_at")
        said = dict(body)
    # Under the identifier that the customer is named after: no event spoke for another.
    await queries.set_stage(session, {**said, "via": customer, "ladder": ladder.key, "at": now, "by": by(who)})
    await mark(session, [customer], live=True)


def _keys(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    return [stage["key"] for stage in stages]
