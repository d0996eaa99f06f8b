"""A replay of everything that matches, as an operation: a hundred events in a step."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from perennial.common import operations
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.operations import OperationOut, Step
from perennial.common.problems import NotFound
from perennial.gateway.plans import loading as plans
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.sources.models import Source
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.violations import queries
from perennial.gateway.violations.schemas import Replay
from perennial.gateway.violations.service import AT_ONCE, Replayer, Terms

KIND = "violations.replay"


async def start(session: WriteSession, by: Principal, source_id: str, wanted: Replay) -> OperationOut:
    """Replay what matches at this moment; what is rejected meanwhile is not waited for."""
    until = min(wanted.until or datetime.max.replace(tzinfo=UTC), datetime.now(UTC))
    wanted = wanted.model_copy(update={"until": until})
    total = await queries.remaining(session, source_id, wanted.filter(), wanted.after)
    given = {"source_id": source_id, **wanted.model_dump(mode="json", exclude={"ids", "dry_run"})}
    return await operations.start(session, by, KIND, given, total=total)


async def replay(step: Step) -> Mapping[str, Any] | None:
    """The next events behind `progress["after"]`; the broker may get those of a step twice, identity counts once."""
    given = dict(step.input)
    source_id = given.pop("source_id")
    wanted = Replay.model_validate(given)
    source = await step.session.get(Source, source_id)
    if source is None:
        raise NotFound("this source is no more", code="unknown_source")
    after = step.progress.get("after", wanted.after)
    ids = await queries.replayable(step.session, source_id, wanted.filter(), AT_ONCE, after)
    rejected = Counter(step.progress.get("rejected", {}))
    if not ids:
        return {"replayed": step.done - rejected.total(), "rejected": dict(rejected)}
    plan = (await plans.in_force(step.session, [source], {})).get(source_id)
    terms = Terms(plan, wanted.patch, wanted.again, wanted.as_import)
    verdicts = await _replayer(step).some(step.session, source_id, ids, terms, by=step.principal)
    rejected.update(verdict.code for verdict in verdicts if verdict.event is None)
    step.progress.update(after=ids[-1], rejected=dict(rejected))
    step.done += len(ids)
    return None


def _replayer(step: Step) -> Replayer:
    settings = cast("GatewaySettings", step.runtime.settings)
    seconds, room = settings.publish_seconds, settings.in_flight_bytes
    publisher = Publisher(step.runtime.nats, seconds=seconds, in_flight_bytes=room)
    return Replayer(step.runtime.database, publisher)
