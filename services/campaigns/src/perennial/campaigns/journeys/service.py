"""The life of a journey: draft, published, paused, archived."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from perennial.campaigns.enrolments import queries as enrolments
from perennial.campaigns.enrolments.service import Entered, end
from perennial.campaigns.enrolments.triggers import hold, request
from perennial.campaigns.facts import queries as facts
from perennial.campaigns.facts.service import wanted_by
from perennial.campaigns.journeys import queries, telling
from perennial.campaigns.journeys.models import Journey, JourneyVersion
from perennial.campaigns.plans import graph, readable
from perennial.campaigns.plans.definition import Definition, OnSegment, OnTrack, read, written
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.steps import MessageStep
from perennial.campaigns.plans.versions import loaded, plans
from perennial.campaigns.templates import TemplateFault, reads
from perennial.campaigns.wakes import wake
from perennial.common import notify
from perennial.common.db import WriteSession, lock
from perennial.common.db.sessions import ReadSession
from perennial.common.identity_map import customers_of
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, FieldError, NotFound, Unprocessable
from perennial.common.web.etags import match

SENDING = ("messages_sandbox", "messages_email")


async def journey(session: ReadSession, journey_id: UUID, *, lock: bool = False) -> Journey:
    """One journey, locked for a change if wanted. Raises NotFound."""
    found = await session.get(Journey, journey_id, with_for_update=lock)
    if found is None:
        raise NotFound(f"there is no journey {journey_id}", pointer="path/journey_id")
    return found


async def draft(session: WriteSession, name: str, definition: object) -> Journey:
    """A new journey that does nothing yet. Raises Unprocessable."""
    checked = _checked(definition)
    made = Journey(id=uuid7(), name=name, state="draft", definition=checked, revision=1, published_version=None)
    session.add(made)
    await session.flush()
    await session.refresh(made)
    await telling.tell(session, [made])
    return made


async def change(
    session: WriteSession, journey_id: UUID, name: str | None, definition: object | None, expected: int | None
) -> Journey:
    """Another name, another draft; what is published stays as it is until the next publication."""
    found = await journey(session, journey_id, lock=True)
    match(expected, found.revision)
    _not_archived(found)
    if name is not None:
        found.name = name
    if definition is not None:
        found.definition = _checked(definition)
    return await _touched(session, found)


async def patched(
    session: WriteSession, journey_id: UUID, patch: Mapping[str, Any], expected: int | None
) -> dict[str, Any]:
    """The draft as this merge patch (RFC 7396) would make it, not checked; the journey stays locked."""
    found = await journey(session, journey_id, lock=True)
    match(expected, found.revision)
    return _merged(found.definition, patch)


def _merged(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value) if isinstance(value, Mapping) else value
    return merged


async def publish(session: WriteSession, journey_id: UUID, by: str) -> Journey:
    """Make the draft the version that new enrolments take, and run. An unchanged draft makes no new version.

    Raises Unprocessable naming the step, target or template at fault, Conflict for an archived journey.
    """
    found = await journey(session, journey_id, lock=True)
    _not_archived(found)
    definition = read(found.definition)
    graph.check(definition)
    readable.check(definition)
    _check_templates(definition)
    held = found.state == "paused"
    if not await _is_current(session, found):
        found.published_version = await queries.last_version(session, found.id) + 1
        session.add(_version(found, definition, by))
        await session.flush()
    found.state = "published"
    await _renew_interests(session)
    if held:
        await _wake_all(session, found.id)
    return await _touched(session, found)


async def pause(session: WriteSession, journey_id: UUID) -> Journey:
    """Nobody enters and nobody moves; exit events still count."""
    return await _switched(session, journey_id, "published", "paused")


async def resume(session: WriteSession, journey_id: UUID) -> Journey:
    """Everybody takes up where they were held; what fell due meanwhile happens now."""
    found = await _switched(session, journey_id, "paused", "published")
    await _wake_all(session, journey_id)
    return found


async def archive(session: WriteSession, journey_id: UUID, expected: int | None) -> Journey:
    """The end: everybody on it leaves at once."""
    found = await journey(session, journey_id, lock=True)
    match(expected, found.revision)
    if found.state == "archived":
        return found
    await hold(session, journey_id)
    found.state = "archived"
    await session.flush()
    walks = await enrolments.open_walks(session, journey_id)
    await end(session, [(walk, "journey_archived", None) for walk in walks])
    await _renew_interests(session)
    return await _touched(session, found)


async def enrol(session: WriteSession, journey_id: UUID, wanted: Mapping[str, Any], by: str) -> Entered:
    """Enrol a segment's members or named customers, live or not: somebody decided it.

    Raises Conflict unless the journey is published, NotFound for a segment of which nothing was heard yet.
    """
    await hold(session, journey_id)
    found = await journey(session, journey_id)
    if found.state != "published" or found.published_version is None:
        raise Conflict(f"journey: it is {found.state}, not published", code="not_published", pointer="path/journey_id")
    key = (found.id, found.published_version)
    plan: Plan = (await plans(session, [key]))[key]
    cause = {"kind": "request", "by": by}
    if (segment := wanted.get("segment_id")) is not None:
        members = await facts.members(session, segment)
        if not members and not await facts.is_known(session, segment):
            raise NotFound(f"segment_id: no membership of segment {segment} is known here", pointer="/segment_id")
        return await request(session, plan, members, cause | {"segment_id": str(segment)})
    asked = list(dict.fromkeys(wanted["customer_ids"]))
    known = await customers_of(session, asked)
    entered = await request(session, plan, known.values(), cause)
    if unknown := len(asked) - len(known):
        entered.refused["unknown_customer"] += unknown
    return entered


def _checked(definition: object) -> dict[str, Any]:
    checked = read(definition)
    readable.check(checked)
    return written(checked)


def _check_templates(definition: Definition) -> None:
    errors = []
    for index, step in enumerate(definition.steps):
        if isinstance(step, MessageStep):
            for field in ("subject", "body"):
                try:
                    reads(getattr(step, field))
                except TemplateFault as fault:
                    pointer = f"/definition/steps/{index}/{field}"
                    errors.append(FieldError(pointer=pointer, detail=str(fault), code="template"))
    if errors:
        detail = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in errors)
        raise Unprocessable(detail, code="invalid_journey", errors=errors)


async def _is_current(session: ReadSession, found: Journey) -> bool:
    if found.published_version is None:
        return False
    version = await session.get(JourneyVersion, (found.id, found.published_version))
    return version is not None and version.definition == found.definition


def _version(found: Journey, definition: Definition, by: str) -> JourneyVersion:
    trigger = definition.trigger
    return JourneyVersion(
        journey_id=found.id,
        version=found.published_version,
        definition=found.definition,
        trigger_event=trigger.event if isinstance(trigger, OnTrack) else None,
        trigger_segment=trigger.segment if isinstance(trigger, OnSegment) else None,
        exit_events=sorted({item.event for item in definition.exit_on}),
        published_by=by,
    )


async def _renew_interests(session: WriteSession) -> None:
    """What is kept follows from all versions on which somebody may be; one publication at a time decides it."""
    await lock(session, "campaigns", "interests")
    living = await loaded(session, await queries.living_versions(session))
    await facts.renew_interests(session, wanted_by(list(living.values())))


async def _switched(session: WriteSession, journey_id: UUID, before: str, after: str) -> Journey:
    found = await journey(session, journey_id, lock=True)
    if found.state not in {before, after}:
        detail = f"journey: it is {found.state}, not {before}"
        raise Conflict(detail, code=f"not_{before}", pointer="path/journey_id")
    if found.state == before:
        found.state = after
        return await _touched(session, found)
    return found


async def _wake_all(session: WriteSession, journey_id: UUID) -> None:
    now = datetime.now(UTC)
    standing = await enrolments.open_of(session, journey_id)
    await wake(session, [(enrolment, via, due or now) for enrolment, via, due in standing])
    for channel in SENDING:
        await notify.notify(session, channel)


def _not_archived(found: Journey) -> None:
    if found.state == "archived":
        raise Conflict("journey: it is archived", code="archived", pointer="path/journey_id")


async def _touched(session: WriteSession, found: Journey) -> Journey:
    found.revision += 1
    found.updated_at = datetime.now(UTC)
    await session.flush()
    await telling.tell(session, [found])
    return found
