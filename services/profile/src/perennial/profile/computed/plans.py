"""Feeds compiled: which events each wants, and what it keeps of them."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from perennial.common import commerce, rules
from perennial.common.rules.evaluation.events import matching
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.values.durations import parse_duration
from perennial.common.rules.values.paths import parse_path, reader
from perennial.common.rules.values.scalars import number, text
from perennial.profile.computed.partials import LONGEST_WORD, Partial
from perennial.profile.computed.spec import Feed
from perennial.profile.computed.windows import bucket_of
from perennial.profile.timeline.service import month_of

LONGEST_VALUE = 1000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_plain = msgspec.json.Encoder(decimal_format="number")

Root = dict[str, Any]
Slot = Callable[[str], Partial]
Keep = Callable[[Slot, datetime, UUID, Root], None]
Match = Callable[[Mapping[str, object], datetime], bool]
Read = Callable[[Root, datetime], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a feed has been counted: later months than `month`, and in it the identifiers up to `via`."""

    month: date
    via: UUID

    def passed(self, via: UUID, at: datetime) -> bool:
        """Whether an event of this time and identifier is no more left to the backfill."""
        month = month_of(at)
        return month > self.month or (month == self.month and via <= self.via)


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled feed. `keep(slot, at, id, root)` adds one event to the partials that `slot(word)` gives."""

    id: int
    feed: Feed
    bucket: Callable[[datetime], datetime]
    where: Sequence[Match]
    keep: Keep
    reads: bool
    position: Position | None = None

    def wants(self, root: Root, at: datetime) -> bool:
        """Whether the event's properties are as wanted."""
        return all(match(root, at) for match in self.where)


def conditions(where: Iterable[Mapping[str, Any]]) -> list[Match]:
    """Property conditions as functions."""
    rule = rules.parse({"event": "any", "where": list(where)})
    assert isinstance(rule, OnEvent)  # noqa: S101 (parse says so)
    return [matching(item, parse_path(item.property)) for item in rule.where]


@functools.lru_cache(maxsize=1000)
def compiled(feed_id: int, document: str, zone: tzinfo, currency: str) -> Plan:
    """A feed as it is stored; the id is never given again."""
    return compile_feed(feed_id, parsed(document), zone, currency)


def compile_feed(feed_id: int, feed: Feed, zone: tzinfo, currency: str) -> Plan:
    """`zone` and `currency` are the deployment's."""
    zone = ZoneInfo(feed.timezone) if feed.timezone else zone
    return Plan(
        id=feed_id,
        feed=feed,
        bucket=bucket_of(feed.by, zone),
        where=conditions(feed.where) if feed.where else (),
        keep=_KEEPS[feed.keeps](feed, zone, currency),
        reads=bool(feed.where or feed.having or feed.property),
    )


def _reader(path: str | None, zone: tzinfo) -> Read:
    if path == "$hour":
        return lambda _, at: (at.astimezone(zone).hour,)
    if path == "$weekday":
        return lambda _, at: (at.astimezone(zone).isoweekday(),)
    read = reader(parse_path(path or ""))
    return lambda root, _: read(root)


def _times(_feed: Feed, _zone: tzinfo, _currency: str) -> Keep:
    return lambda slot, at, _id, _root: slot("").at(at)


def _numbers(feed: Feed, zone: tzinfo, currency: str) -> Keep:
    read = _reader(feed.property, zone)

    def keep(slot: Slot, at: datetime, _id: UUID, root: Root) -> None:
        for value in read(root, at):
            if (found := number(value)) is not None:
                slot(commerce.currency(root, currency) if feed.money else "").number(at, found)

    return keep


def _values(feed: Feed, zone: tzinfo, _currency: str) -> Keep:
    read = _reader(feed.property, zone)

    def keep(slot: Slot, at: datetime, event_id: UUID, root: Root) -> None:
        for value in read(root, at):
            encoded = _plain.encode(value).decode()
            if len(encoded) <= LONGEST_VALUE:
                slot("").value(at, event_id, encoded)
                break

    return keep


def _words(feed: Feed, zone: tzinfo, _currency: str) -> Keep:
    if not feed.property:
        having = conditions(feed.having)
        return lambda slot, at, _id, root: slot("1" if all(match(root, at) for match in having) else "0").at(at)
    read = _reader(feed.property, zone)

    def keep(slot: Slot, at: datetime, _id: UUID, root: Root) -> None:
        for value in read(root, at):
            if word := (text(value) or "")[:LONGEST_WORD]:
                slot(word).at(at)

    return keep


def _spans(feed: Feed, _zone: tzinfo, _currency: str) -> Keep:
    gap = parse_duration(feed.gap or "PT30M") // _MICROSECOND

    def keep(slot: Slot, at: datetime, _id: UUID, _root: Root) -> None:
        since = (at - _EPOCH) // _MICROSECOND
        slot("").span(at, since, since + gap)

    return keep


_KEEPS: dict[str, Callable[[Feed, tzinfo, str], Keep]] = {
    "times": _times,
    "numbers": _numbers,
    "values": _values,
    "words": _words,
    "spans": _spans,
}


@functools.lru_cache(maxsize=1000)
def parsed(document: str) -> Feed:
    """A feed as it is stored."""
    return Feed.model_validate_json(document)
