"""What starts and ends walks: events, segments, requests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from perennial.campaigns.enrolments import queries
from perennial.campaigns.enrolments.service import Entered, Entry, enter, settle_exits
from perennial.campaigns.facts import queries as facts
from perennial.campaigns.facts.service import Heard, keep
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.versions import triggered_by_events, triggered_by_segments
from perennial.common.db import WriteSession
from perennial.common.db.locks import lock, lock_key
from perennial.common.identity_map import customers_of, lock_customers


@dataclass(frozen=True)
class Joined:
    """A customer became a member of a segment, by something live or as somebody asks; of one entry `at` is the same."""

    id: UUID
    customer_id: UUID
    segment_id: UUID
    at: datetime
    version: int
    announced: bool = False


async def hear(session: WriteSession, heard: Sequence[Heard]) -> None:
    """Keep what journeys read, enrol by live events, exit by any.

    An import sends nothing, but an order that comes late, or by an import, is paid all the same.
    """
    interests = await keep(session, heard, datetime.now(UTC))
    live = [item for item in heard if item.live]
    plans = await triggered_by_events(session, sorted({item.name for item in live}))
    wanted = [(plan, [item for item in live if _triggers(plan, item)]) for plan in plans]
    wanted = [(plan, items) for plan, items in wanted if items]
    ending = {item.via for item in heard if item.name in interests and interests[item.name].exits}
    if not wanted and not ending:
        return
    open_to = await running(session, [plan for plan, _ in wanted])
    wanted = [(plan, items) for plan, items in wanted if plan.journey_id in open_to]
    vias = {item.via for _, items in wanted for item in items}
    customers = await _locked(session, vias, ending)
    for plan, items in wanted:
        await enter(session, plan, [_entry(item, customers.get(item.via, item.via)) for item in items])
    await settle_exits(session, [customers[via] for via in vias | ending if via in customers])


async def join(session: WriteSession, joined: Sequence[Joined]) -> None:
    """Enrol by segments. A customer of whom the map has not told yet is named by its own first identifier.

    Who is known to have left the segment since does not enter. An entry may be said again, when somebody asks to have
    a segment's members announced: it begins one walk at most.
    A walk that is announced begins now; others end at once by what is known to have happened since the entry.
    """
    now = datetime.now(UTC)
    plans = await triggered_by_segments(session, sorted({item.segment_id for item in joined}))
    wanted = [(plan, [item for item in joined if _joins(plan, item)]) for plan in plans]
    if not wanted:
        return
    open_to = await running(session, [plan for plan, _ in wanted])
    wanted = [(plan, items) for plan, items in wanted if plan.journey_id in open_to]
    vias = {item.customer_id for _, items in wanted for item in items}
    customers = await _locked(session, vias, set())
    left = await _left(session, [item for _, items in wanted for item in items])
    for plan, items in wanted:
        live_last = sorted(items, key=lambda item: not item.announced)
        entering = {(item.customer_id, item.at): item for item in live_last}
        taken = await queries.taken(session, plan.journey_id, items[0].segment_id, list(entering))
        entries = [
            Entry(
                item.customer_id,
                customers.get(item.customer_id, item.customer_id),
                now if item.announced else item.at,
                {"kind": "segment", "segment_id": str(item.segment_id), "at": item.at.isoformat()},
                item.id,
            )
            for pair, item in entering.items()
            if pair not in taken and item not in left
        ]
        await enter(session, plan, entries)
    await settle_exits(session, list(customers.values()))


async def _left(session: WriteSession, joined: Sequence[Joined]) -> set[Joined]:
    """Those who have left the segment again, as far as segments has told."""
    if not joined:
        return set()
    gone = await facts.left_again(session, [(item.customer_id, item.segment_id, item.version) for item in joined])
    return {joined[place] for place in gone}


async def request(session: WriteSession, plan: Plan, customers: Iterable[UUID], asked: dict[str, str]) -> Entered:
    """Enrol these customers (today's ids) because somebody asked for it; `hold` the journey before."""
    now = datetime.now(UTC)
    return await enter(session, plan, [Entry(customer, customer, now, asked) for customer in sorted(set(customers))])


async def hold(session: WriteSession, journey_id: UUID) -> None:
    """Nobody else lets anybody into the journey until the transaction ends."""
    await lock(session, "campaigns", "journey", journey_id)


async def running(session: WriteSession, plans: Sequence[Plan]) -> set[UUID]:
    """Shared: a request for thousands takes one lock of a journey instead of one for each customer.

    Returns the journeys that still run, for one may have been archived before the lock was ours.
    """
    journeys = [plan.journey_id for plan in plans]
    if not journeys:
        return set()
    await queries.share(session, [lock_key("campaigns", "journey", journey) for journey in journeys])
    return await queries.running(session, journeys)


async def _locked(session: WriteSession, entering: set[UUID], ending: set[UUID]) -> dict[UUID, UUID]:
    """The customers of identifiers, after locking those who may enter, and those on a journey that may end."""
    before = await customers_of(session, entering | ending)
    leaving = await queries.with_open(session, sorted({before[via] for via in ending if via in before}))
    await lock_customers(session, {before.get(via, via) for via in entering} | set(leaving))
    after = await customers_of(session, entering | ending)
    kept = {*entering, *(via for via in ending if after.get(via) in leaving)}
    return {via: after[via] for via in kept if via in after}


def _triggers(plan: Plan, item: Heard) -> bool:
    trigger = plan.definition.trigger
    return getattr(trigger, "event", None) == item.name and plan.triggered_by(item.properties, item.at)


def _joins(plan: Plan, item: Joined) -> bool:
    return getattr(plan.definition.trigger, "segment", None) == item.segment_id


def _entry(item: Heard, customer: UUID) -> Entry:
    cause = {
        "kind": "event",
        "name": item.name,
        "event_id": str(item.id),
        "at": item.at.isoformat(),
        "properties": dict(item.properties),
    }
    return Entry(item.via, customer, item.at, cause, item.id)
