"""The verbs of earning: count what happened, learn birthdays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any
from uuid import UUID

import structlog

from perennial.common import commerce
from perennial.common.db import WriteSession, settings_of
from perennial.loyalty.earning import queries
from perennial.loyalty.earning.asking import Verdict, worth_of
from perennial.loyalty.earning.booking import Earned, book
from perennial.loyalty.earning.choosing import by_currency
from perennial.loyalty.earning.facts import Facts
from perennial.loyalty.earning.known import Known, hold, know, remember, subjects
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.earning import Earner, in_force

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that rules may ask about, other than an order's; its id is the same for every repeat."""

    id: UUID
    via: UUID
    name: str
    source: str
    at: datetime
    live: bool
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules of its time say of an event."""

    what: Happening
    earner: Earner
    facts: Facts
    verdicts: Sequence[Verdict]


def names(earners: Iterable[Earner]) -> set[str]:
    """The events that some version of the programme asks about, orders left out."""
    return {name for earner in earners for name in earner.by_event} - {commerce.ORDER_COMPLETED}


async def earn(session: WriteSession, happenings: Sequence[Happening]) -> None:
    """Earn for events, each once whatever is repeated, in a constant number of statements.

    What caps leave is given to whoever comes first; late events find what is left of the day on which they happened.
    """
    if not happenings:
        return
    zone, earners = settings_of(session).zone, await programmes.history(session)
    vias = {item.via for item in happenings}
    if any(earner.limited for earner in earners):
        await hold(session, vias)
    known = await know(session, earners, vias)
    judged = [found for item in happenings if (found := _judge(in_force(earners, item.at), item, known, zone))]
    fresh = await queries.add_activities(session, [_activity(item) for item in judged])
    new = sorted((item for item in judged if item.what.id in fresh), key=lambda item: (item.facts.at, item.what.id))
    await remember(session, known, earners, vias, [item.facts.at for item in new], zone)
    made, uses = [], []
    for item in new:
        room = known.room(item.earner, item.what.id, item.facts)
        granted = by_currency(item.earner.choose(item.verdicts, room), item.earner.programme.main.code)
        known.give(item.what.id, item.what.via, room.taken)
        uses += room.taken
        made.append(_earned(item, granted))
    if uses:
        await queries.replace_uses(session, [], uses)
    lots = await book(session, made)
    log.debug("events.accounted", events=len(new), earned=sum(lot.points for lot in lots))


def _judge(earner: Earner, item: Happening, known: Known, zone: tzinfo) -> Judged | None:
    rules = earner.by_event.get(item.name)
    if rules is None:
        return None
    amount = worth_of(item.name, item.properties)
    facts = known.facts(earner, Facts(item.via, item.at, item.source, item.properties, amount, zone))
    return Judged(item, earner, facts, rules.verdicts(facts))


def _activity(item: Judged) -> queries.Activity:
    what = item.what
    told = item.earner.told(what.name, item.facts, item.verdicts)
    return queries.Activity(
        what.id, what.via, what.name, what.source, what.at, item.facts.day, what.live, told
    )  # fmt: skip


def _earned(item: Judged, granted: Mapping[str, int]) -> Earned:
    about = next((word for word in subjects(item.earner, item.facts).values() if word), None)
    what = item.what
    return Earned(what.id, what.via, what.at, granted, what.name, about, what.live, item.earner.programme)


async def learn_birthdays(session: WriteSession, said: Sequence[tuple[UUID, Any, datetime, UUID]]) -> None:
    """Take over birthdays from traits: identifier, value, time, the event's id; what is no date takes it back."""
    newest: dict[UUID, tuple[UUID, str | None, datetime, UUID]] = {}
    for via, value, at, key in sorted(said, key=lambda item: (item[2], item[3])):
        newest[via] = (via, _month_and_day(value), at, key)
    if newest:
        await queries.put_birthdays(session, [newest[via] for via in sorted(newest)])


def _month_and_day(value: Any) -> str | None:
    """`05-17` of a date or date-time, also without a year (`--05-17`)."""
    word = value.strip()[:10] if isinstance(value, str) else ""
    if word.startswith("--"):
        word = f"2000-{word[2:7]}"
    try:
        return date.fromisoformat(word).strftime("%m-%d")
    except ValueError:
        return None
