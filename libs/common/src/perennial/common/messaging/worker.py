"""A service's consumers, built from its table of reactions."""

from collections.abc import Sequence
from typing import Any

from perennial.common.contracts.identity import (
    RESOLVED_STREAM,
    RESOLVED_SUBJECT,
    CustomerErased,
    IdentifiersAssigned,
)
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.ids import PARTITIONS
from perennial.common.messaging.batch import BatchProcessor, fence, heard_first, ignore, react
from perennial.common.messaging.consumer import Consumer
from perennial.common.messaging.decode import Facts, resolved
from perennial.common.messaging.parked import mark_replayed, take
from perennial.common.messaging.reactions import Reaction, on
from perennial.common.privacy import service as privacy
from perennial.common.service import Service, ServiceRuntime

# Sixteen partitions in four consumers: the broker keeps, and syncs, the state of every consumer that moves.
CONSUMERS = 4
MOST = 128  # messages in a batch: when many wait, what is written once a customer is written less often


def reactions_of(service: Service) -> tuple[Reaction[Any], ...]:
    """What a service hears; whoever keeps a map hears of its changes, and everybody whom to forget."""
    map_changes = (on(IdentifiersAssigned, ignore),) if service.keeps_map else ()
    forgets = service.privacy is not None and service.name != CustomerErased.producer()
    erasures = (on(CustomerErased, privacy.accept),) if forgets else ()
    return (*map_changes, *service.reactions, *erasures)


def hot_durable(service: str, partition: int) -> str:
    """The durable consumer that brings a service the events of one partition, and of some others."""
    return f"{service}-{partition % CONSUMERS}"


def hot_subjects(consumer: int) -> list[str]:
    """The partitions that the consumer of that number brings."""
    return [f"{RESOLVED_SUBJECT}.{partition}" for partition in range(consumer, PARTITIONS, CONSUMERS)]


def fact_subjects(service: Service) -> dict[str, list[str]]:
    """The facts a service hears, by stream."""
    heard: dict[str, list[str]] = {}
    for reaction in reactions_of(service):
        if not reaction.hot:
            subjects = heard.setdefault(reaction.producer.upper(), [])
            if reaction.subject not in subjects:
                subjects.append(reaction.subject)
    return heard


def hears_events(service: Service) -> bool:
    """Whether it consumes the hot stream."""
    return any(reaction.hot for reaction in service.reactions)


def consumers(runtime: ServiceRuntime) -> list[Consumer]:
    """Every consumer of the service: the partitions in a few lanes, each stream of facts by itself."""
    found = _lanes(runtime) if hears_events(runtime.service) else []
    reactions = reactions_of(runtime.service)
    decode = _facts(reactions)
    for stream in fact_subjects(runtime.service):
        process = BatchProcessor(runtime, reactions, decode)
        found.append(Consumer(runtime, stream, runtime.name, process=process, most=256))
    return found


def _lanes(runtime: ServiceRuntime) -> list[Consumer]:
    """The hot consumers dealt out to as many consumers as batches may be handled at once."""
    process = BatchProcessor(runtime, [item for item in runtime.service.reactions if item.hot], resolved)
    lanes = min(runtime.settings.concurrency, CONSUMERS)
    return [
        Consumer(
            runtime,
            RESOLVED_STREAM,
            *(hot_durable(runtime.name, consumer) for consumer in range(lane, CONSUMERS, lanes)),
            process=process,
            most=MOST,
            credit=MOST // 2,
        )
        for lane in range(lanes)
    ]


def _facts(reactions: Sequence[Reaction[Any]]) -> Facts:
    return Facts({reaction.subject: reaction.contract for reaction in reactions if not reaction.hot})


async def replay(runtime: ServiceRuntime, parked_ids: Sequence[int]) -> int:
    """Handle parked events after the fix, once: one that has been handled since by a repeat is only marked.

    Raises what a reaction raises; nothing of this call is kept then.
    """
    reactions = reactions_of(runtime.service)
    facts = _facts(reactions)
    async with runtime.database.write() as session:
        taken = await take(session, parked_ids)
        fences = {fence(origin.subject, origin.stream) for _, origin in taken}
        await lock_all(session, [lock_key(runtime.name, name) for name in fences])
        for parked_id, origin in taken:
            read = dict(facts.read(origin))
            fresh = await heard_first(session, sorted(read))
            events = [event for event_id, event in read.items() if fresh is None or event_id in fresh]
            if events:
                await react(runtime, session, reactions, events)
            await mark_replayed(session, parked_id)
    return len(taken)
