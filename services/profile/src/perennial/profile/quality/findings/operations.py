"""Applying a rule to what is stored and undoing it, as operations: some identifiers or findings a step."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from perennial.common.operations import Step
from perennial.common.problems import Conflict, NotFound
from perennial.profile.quality.findings import queries, service
from perennial.profile.quality.rules import queries as rules
from perennial.profile.quality.rules.guards import guarding

APPLY, RESTORE = "quality.apply", "quality.restore"
AT_ONCE = 1_000
_START = str(UUID(int=0))


async def apply(step: Step) -> Mapping[str, Any] | None:
    """The next identifiers; what was said is kept in the findings."""
    row = await rules.one(step.session, UUID(step.input["rule"]))
    if row is None or row["archived"]:
        raise NotFound("rule: there is no such rule any more")
    guards = guarding("", [row])
    found = [*guards.outliers.values(), *guards.duplicates.values()]
    if not found:
        raise Conflict("rule: it has no baseline yet", code="not_ready")
    vias = await queries.vias(step.session, UUID(step.progress.get("after", _START)), AT_ONCE)
    caught = await service.apply(step.session, found[0][0], vias) if vias else 0
    step.progress["caught"] = step.progress.get("caught", 0) + caught
    step.done += len(vias)
    if len(vias) < AT_ONCE:
        return {"identifiers": step.done, "caught": step.progress["caught"]}
    step.progress["after"] = str(vias[-1])
    return None


async def restore(step: Step) -> Mapping[str, Any] | None:
    """The next findings of a rule; what was said stands again where nothing newer does."""
    after = UUID(step.progress.get("after", _START))
    ids = await queries.of_rule(step.session, UUID(step.input["rule"]), after, AT_ONCE)
    step.done += await service.restore(step.session, ids) if ids else 0
    if len(ids) < AT_ONCE:
        return {"restored": step.done}
    step.progress["after"] = str(ids[-1])
    return None


OPERATIONS = {APPLY: apply, RESTORE: restore}
