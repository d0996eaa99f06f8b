"""Write what identifies say of a customer: per source the last word and the first stay, in whatever order they come."""

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec

from perennial.common import rules
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.common.vault import Vault
from perennial.profile.quality.findings import records as findings
from perennial.profile.quality.rules import guards
from perennial.profile.traits import queries, sealing
from perennial.profile.traits.definitions.kinds import Definition, Unfit, fitted, guessed
from perennial.profile.traits.definitions.schema import NOTHING, Schema
from perennial.profile.traits.queries import SEPARATOR, Said, Stamp, Words
from perennial.profile.traits.survivors import MANUAL

LONGEST_KEY, LONGEST_SHAPE, MOST_SHAPES = 200, 60, 3
SAME = object()
OTHER_MANUAL = f"source:{MANUAL}"  # a source of that name is not the staff
TAKEN, CLEARED = "ok", "cleared"
_known_key = functools.lru_cache(maxsize=8192)(rules.trait_key)
_first = operator.itemgetter(0)
_digit, _letter = re.compile(r"\d"), re.compile(r"[^\W\d_]")


class _Context(msgspec.Struct):
    traits: msgspec.Raw = msgspec.Raw(b"null")


class _Identify(msgspec.Struct):
    """Values stay the JSON they were sent as: nothing is lost by reading and writing them."""

    traits: dict[str, msgspec.Raw] | None = None
    context: _Context | None = None


_IDENTIFY = msgspec.json.Decoder(_Identify)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Write the traits of identify events, each checked by its definition; what does not fit is counted apart."""
    sealer = await sealing.sealer(session)
    watch = guards.Watch(await guards.in_force(session))
    heard = Heard(sealer.schema, watch)
    for event in events:
        heard.hear(event)
    for outcome, said, taken in await guards.settle(session, watch):
        heard.settled(outcome, said, taken)
    words = heard.words()
    if words:
        await queries.write(session, [_sealed(sealer, each) for each in words])
        session.info["spoken"] = words
    await findings.write(session, watch.findings, sealer)
    await queries.tally(session, heard.tallies())


def _sealed(sealer: sealing.Sealer, words: Words) -> Words:
    last = _hidden(sealer, words.last)
    return Words(last, last if words.first is words.last else words.first and _hidden(sealer, words.first))


def _hidden(sealer: sealing.Sealer, said: Said) -> Said:
    if said.value is None:
        return said
    value = sealer.sealed(said.via, said.key, said.value)
    return said if value is said.value else Said(said.via, said.key, value, said.stamp, said.live)


class _Count(msgspec.Struct):
    first: datetime
    last: datetime
    number: int = 0
    shapes: dict[str, None] = {}


class Heard:
    """What the events of one batch say, by identifier, trait and source; it commutes."""

    def __init__(self, schema: Schema = NOTHING, watch: guards.Watch | None = None) -> None:
        self._definitions = schema.definitions
        self._watch = watch or guards.Watch()
        self._watched = self._watch.guards.keys
        self._later: dict[tuple[int, str, Stamp], tuple[date, str, str]] = {}
        self._words: dict[tuple[int, str, str], Words] = {}  # by the integer: hashing and comparing UUIDs is slow
        self._counts: dict[tuple[str, str, date, str, str], _Count] = {}

    def hear(self, event: ResolvedEvent) -> None:
        """Take in one identify event."""
        day = event.received_at.astimezone(UTC).date()
        for said in said_by(event):
            definition = self._definitions.get(said.key)
            outcome, taken = _judged(definition, said)
            kind = definition.type if definition else "" if said.value is None else guessed(said.value)
            if taken is not None and said.key in self._watched:
                self._watch_over(taken, (day, kind, outcome))
                continue
            self._count((said.key, said.stamp[1], day, outcome, kind), said)
            if taken is not None:
                self.add(taken)

    def _watch_over(self, said: Said, counted: tuple[date, str, str]) -> None:
        """Have the rules on quality judge a statement that fits; what should be unique is `settled` later."""
        self._later[said.via.int, said.key, said.stamp] = counted
        outcome, taken, waits = self._watch.judge(said)
        if not waits:
            self.settled(outcome, said, taken)

    def settled(self, outcome: str, said: Said, taken: Said | None) -> None:
        """Count a statement that the rules have judged, and take in what they make of it."""
        day, kind, before = self._later.pop((said.via.int, said.key, said.stamp))
        self._count((said.key, said.stamp[1], day, before if outcome == guards.OK else outcome, kind), said)
        if taken is not None:
            self.add(taken)

    def add(self, said: Said) -> None:
        """Take in one statement that is good."""
        place = (said.via.int, said.key, said.stamp[1])
        words = self._words.get(place)
        if words is None:
            self._words[place] = Words(said, None if said.value is None else said)
            return
        if words.last.stamp < said.stamp:
            words.last = said
        if said.value is not None and (words.first is None or said.stamp < words.first.stamp):
            words.first = said

    def _count(self, place: tuple[str, str, date, str, str], said: Said) -> None:
        at, place = said.stamp[0], (_tallied(place[0]), *place[1:])
        count = self._counts.get(place)
        if count is None:
            count = self._counts[place] = _Count(at, at)
        count.number += 1
        if at < count.first:
            count.first = at
        elif at > count.last:
            count.last = at
        if place[3] not in {TAKEN, CLEARED} and said.value is not None:
            count.shapes[shape(said.value)] = None

    def words(self) -> list[Words]:
        """What is to be written, sorted by identifier, trait and source."""
        return [words for _, words in sorted(self._words.items(), key=_first)]

    def tallies(self) -> list[queries.Tally]:
        """How many statements of each kind there were."""
        return [
            (*place, count.number, count.first, count.last, SEPARATOR.join(list(count.shapes)[-MOST_SHAPES:]))
            for place, count in sorted(self._counts.items(), key=_first)
        ]


def _judged(definition: Definition | None, said: Said) -> tuple[str, Said | None]:
    """The outcome, and the statement as it is taken, if it is."""
    if said.value is None:
        return CLEARED, said
    if definition is None or (not definition.strict and definition.type == "string" and said.value[0] == '"'):
        return TAKEN, said
    try:
        value = fitted(definition, said.value)
    except Unfit as error:
        return (str(error), None) if definition.strict else (TAKEN, said)
    return TAKEN, said if value == said.value else Said(said.via, said.key, value, said.stamp, said.live)


@functools.lru_cache(maxsize=8192)
def _tallied(key: str) -> str:
    """The key to count under: a tally outlives its customers and is for everybody, so nobody's address is in it."""
    return shape(key) if sealing.looks_personal(key) else key


def shape(said: str) -> str:
    """What a value looks like, without what it says: `2020/13/45` is `9999/99/99`."""
    return _letter.sub("a", _digit.sub("9", said[:LONGEST_SHAPE])).replace("\x1f", " ")


def said_by(event: ResolvedEvent) -> Iterator[Said]:
    """The traits of one identify event: `context.traits` overlaid by `traits`, each under its one spelling."""
    body = _IDENTIFY.decode(event.body)
    hints = bytes(body.context.traits) if body.context else b""
    values = _keyed(_OBJECT.decode(hints)) if hints.startswith(b"{") else {}
    values |= _keyed(body.traits or {})
    source = OTHER_MANUAL if event.source == MANUAL else event.source
    stamp = (event.timestamp, source, event.message_id)
    for key, value in values.items():
        if 0 < len(key) <= LONGEST_KEY:
            yield Said(event.via, key, None if value == "null" else value, stamp, event.live)


def _keyed(values: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    return {_key(name): str(value, "utf-8") for name, value in values.items()}


def _key(name: str) -> str:
    """The one spelling; what clients make up as names must not fill the memory."""
    return _known_key(name) if len(name) <= LONGEST_KEY else rules.trait_key(name)


Shown = Mapping[UUID, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Of each customer whose traits changed, what was shown before and what is shown now, as it is stored."""


async def announce(session: WriteSession, owners: Mapping[UUID, UUID], shown: Shown) -> None:
    """Say which live words of this batch have changed what their customer shows."""
    spoken: list[Words] = session.info.pop("spoken", [])
    customers = {via.int: customer for via, customer in owners.items()}  # hashing a UUID is slow
    seen = {customer.int: traits for customer, traits in shown.items()}
    newest: dict[tuple[int, str], Said] = {}
    for said in (words.last for words in spoken):
        customer = customers.get(said.via.int)
        if customer is not None and customer.int in seen:
            place = (customer.int, said.key)
            before = newest.get(place)
            if before is None or before.stamp < said.stamp:
                newest[place] = said
    vault = sealing.vault_of(session)
    changed: dict[tuple[int, int], tuple[UUID, UUID, dict[str, object]]] = {}
    for (number, key), said in newest.items():
        if said.live and (after := _news(vault, key, *seen[number])) is not SAME:
            whose = (said.via, customers[said.via.int])
            changed.setdefault((said.via.int, number), (*whose, {}))[2][key] = after
    await emit(session, *_facts(changed.values()))


def _news(vault: Vault, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> object:
    """What is shown now, if it is not what was."""
    old, new = sealing.opened(vault, key, before.get(key)), sealing.opened(vault, key, after.get(key))
    return new if old != new or isinstance(old, bool) != isinstance(new, bool) else SAME


def _facts(changed: Iterable[tuple[UUID, UUID, dict[str, object]]]) -> Iterable[TraitsChanged]:
    return [TraitsChanged(via=via, customer=customer, traits=traits) for via, customer, traits in changed]
