"""One transaction for a batch: lock its partitions, fill the inbox, call the reactions with what is new."""

import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import structlog
from nats.aio.msg import Msg
from opentelemetry import metrics, trace
from sqlalchemy import text

from perennial.common import identity_map, telemetry
from perennial.common.contracts.identity import RESOLVED_SUBJECT, IdentifiersAssigned, ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.db.copying import copy_ids
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.failures import is_infrastructure
from perennial.common.messaging import parked
from perennial.common.messaging.consumer import SUSPICIOUS_DELIVERIES
from perennial.common.messaging.reactions import Reaction
from perennial.common.privacy.filtering import remaining
from perennial.common.service import ServiceRuntime

log = structlog.get_logger()
tracer = trace.get_tracer("perennial")
handled = metrics.get_meter("perennial").create_counter("perennial.events.handled", description="New events handled.")

_ENCODER = msgspec.json.Encoder()
# As a rule all are new: then no id comes back, which would cost more than the insert.
INBOX = text("""
    WITH fresh AS (
        INSERT INTO inbox (event_id) SELECT unnest(CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING RETURNING event_id)
    SELECT CASE WHEN count(*) < cardinality(CAST(:ids AS uuid[])) THEN coalesce(array_agg(event_id), '{}') END
    FROM fresh""")
MANY = 100


class Item(NamedTuple):
    """One event of a batch and where it came from."""

    event_id: UUID
    event: Any
    message: Msg

    def parked(self, error: Exception) -> parked.Parked:
        """Its row in `parked`: the event alone, with the error."""
        cut = _ENCODER.encode({"events": [self.event]}) if isinstance(self.event, ResolvedEvent) else None
        return parked.Parked(parked.origin_of(self.message, cut), self.event_id, repr(error), traceback.format_exc())


Decode = Callable[[Msg], Iterable[Item]]


class BatchProcessor:
    """Handles the messages of some partitions (or of one stream of facts) for one service."""

    def __init__(self, runtime: ServiceRuntime, reactions: Sequence[Reaction[Any]], decode: Decode) -> None:
        self._runtime = runtime
        self._reactions = reactions
        self._decode = decode
        self._all_of = tuple(reaction.contract for reaction in reactions if reaction.wanted is None)
        self._asking = [reaction for reaction in reactions if reaction.asked is not None]
        self._sure = [reaction for reaction in reactions if reaction.asked is None]

    async def __call__(self, messages: list[Msg]) -> None:
        """Commit every event of the messages: handled, seen before, or parked."""
        items, broken = self._read(messages)
        context, links = telemetry.causes(messages)
        with tracer.start_as_current_span(f"{self._runtime.name} consume", context, links=links):
            suspicious = any(message.metadata.num_delivered > SUSPICIOUS_DELIVERIES for message in messages)
            if not suspicious and not broken and await self._together(items):
                return
            await self._one_by_one(items, broken)

    async def _lock(self, session: WriteSession, messages: Iterable[Msg]) -> None:
        """Fence off other workers on the same partitions; a late ack may have given them the same messages."""
        fences = {fence(message.subject, message.metadata.stream) for message in messages}
        await lock_all(session, [lock_key(self._runtime.name, name) for name in fences])

    def _read(self, messages: list[Msg]) -> tuple[list[Item], list[parked.Parked]]:
        """Decode message by message; repeats inside the batch and events nobody wants are dropped."""
        items: dict[int, Item] = {}  # by the integer: hashing and comparing UUIDs is slow
        broken: list[parked.Parked] = []
        for message in messages:
            try:
                for item in self._decode(message):
                    key = item.event_id.int
                    if key not in items and self._wanted(item.event):
                        items[key] = item
            except Exception as error:  # noqa: BLE001 (whatever a broken message raises, it is parked)
                broken.append(parked.Parked(parked.origin_of(message), None, repr(error), traceback.format_exc()))
        return [items[key] for key in sorted(items)], broken

    def _wanted(self, event: Any) -> bool:
        return isinstance(event, self._all_of) or any(_hears(reaction, event) for reaction in self._reactions)

    async def _together(self, items: list[Item]) -> bool:
        """The normal form. False when an event is at fault and isolation must find it."""
        if not items:
            return True
        try:
            async with self._runtime.database.write() as session:
                await self._lock(session, _messages(items))
                await self._handle(session, items)
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.warning("batch.isolating", events=len(items), error=repr(error))
            return False
        return True

    async def _one_by_one(self, items: list[Item], broken: list[parked.Parked]) -> None:
        """Each event in a savepoint of its own; what fails is parked beside its neighbours, which go on."""
        async with self._runtime.database.write() as session:
            await self._lock(session, _messages(items))
            failed = list(broken)
            for item in items:
                self._runtime.beat("isolation")
                try:
                    async with session.begin_nested():
                        await self._handle(session, [item])
                except Exception as error:
                    if is_infrastructure(error):
                        raise
                    failed.append(item.parked(error))
            await parked.park(session, failed)
        self._runtime.beats.pop("isolation", None)

    async def _handle(self, session: WriteSession, items: list[Item]) -> None:
        if self._asking:
            items = await self._asked_for(session, items)
        if not items:
            return
        fresh = await heard_first(session, [item.event_id for item in items])
        if fresh is not None:
            items = [item for item in items if item.event_id in fresh]
        events = [item.event for item in items]
        if events:
            await react(self._runtime, session, self._reactions, events)
            handled.add(len(events))

    async def _asked_for(self, session: WriteSession, items: list[Item]) -> list[Item]:
        """Leave out what only reactions would hear that ask for other names today, before it costs a row each."""
        unsure = {
            item.event_id.int for item in items if not any(_hears(reaction, item.event) for reaction in self._sure)
        }
        if not unsure:
            return items
        names = [(reaction, await reaction.asked(session)) for reaction in self._asking if reaction.asked is not None]
        return [
            item
            for item in items
            if item.event_id.int not in unsure
            or any(item.event.name in wanted and _hears(reaction, item.event) for reaction, wanted in names)
        ]


async def heard_first(session: WriteSession, ids: Sequence[UUID]) -> set[UUID] | None:
    """Put ids into the inbox; returns those that were not there, None for all of them."""
    if len(ids) >= MANY and await _all_new(session, ids):
        return None
    fresh = (await session.execute(INBOX, {"ids": list(ids)})).scalar_one()
    return None if fresh is None else set(fresh)


async def _all_new(session: WriteSession, ids: Sequence[UUID]) -> bool:
    """COPY them in, at half the price; a repeat among them takes all back."""
    try:
        async with session.begin_nested():
            await copy_ids(session, "inbox", "event_id", ids)
    except asyncpg.UniqueViolationError:
        return False
    return True


def _messages(items: Iterable[Item]) -> Iterable[Msg]:
    return {id(item.message): item.message for item in items}.values()


def fence(subject: str, stream: str) -> str:
    """What must not be handled twice at once: a hot partition by its subject, a stream of facts as a whole."""
    return subject if subject.startswith(RESOLVED_SUBJECT) else stream


def _hears(reaction: Reaction[Any], event: Any) -> bool:
    return isinstance(event, reaction.contract) and (reaction.wanted is None or reaction.wanted(event))


def _heard(reaction: Reaction[Any], events: Sequence[Any], kinds: Iterable[type[Any]]) -> list[Any]:
    """What a reaction wants of events of these types; as a rule there is but one."""
    if not all(issubclass(kind, reaction.contract) for kind in kinds):
        return [event for event in events if _hears(reaction, event)]
    if reaction.types:
        return [event for event in events if event.type in reaction.types]
    return list(events) if reaction.wanted is None else [event for event in events if reaction.wanted(event)]


async def react(
    runtime: ServiceRuntime, session: WriteSession, reactions: Sequence[Reaction[Any]], events: Sequence[Any]
) -> None:
    """Learn what the events say of the map, then call each reaction once with all that it wants.

    What is about somebody who was erased is left out.
    """
    events = await remaining(session, events)
    if runtime.service.keeps_map:
        await _follow_map(runtime, session, events)
    kinds = {type(event) for event in events}
    for reaction in reactions:
        wanted = _heard(reaction, events, kinds)
        if wanted:
            await reaction.handle(session, wanted)


async def _follow_map(runtime: ServiceRuntime, session: WriteSession, events: Sequence[Any]) -> None:
    changes = await identity_map.learn(session, [event for event in events if isinstance(event, ResolvedEvent)])
    assigned = [item for event in events if isinstance(event, IdentifiersAssigned) for item in event.assignments]
    if assigned:
        changes += await identity_map.apply(session, assigned)
    if changes and runtime.service.map_changed is not None:
        await runtime.service.map_changed(session, changes)


async def ignore(_session: WriteSession, _events: list[IdentifiersAssigned]) -> None:
    """The reaction to map changes: `react` itself has followed them."""
