"""Aggregates that can be added up in any order: of one identifier, one bucket of time and one word."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from perennial.common.rules.values.scalars import EXACT

MOST_WORDS = 1000
LONGEST_WORD = 200
_HEX = 15

Spans = list[tuple[int, int]]


@dataclass(slots=True)
class Partial:
    """What is kept of some events; adding is commutative. A value is JSON text; spans are microseconds."""

    n: int = 0
    total: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    first: tuple[UUID, str] | None = None
    last: tuple[UUID, str] | None = None
    spans: Spans = field(default_factory=list)

    def at(self, at: datetime, n: int = 1) -> None:
        """Count `n` at an instant."""
        self.n += n
        if self.first_at is None or at < self.first_at:
            self.first_at = at
        if self.last_at is None or at > self.last_at:
            self.last_at = at

    def number(self, at: datetime, value: Decimal) -> None:
        """Count a number, exactly."""
        self.at(at)
        self.total = value if self.total is None else EXACT.add(self.total, value)
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)

    def value(self, at: datetime, event_id: UUID, value: str) -> None:
        """Keep the first and the last, ties by the event's id."""
        if self.first_at is None or self.first is None or (at, event_id) < (self.first_at, self.first[0]):
            self.first = (event_id, value)
        if self.last_at is None or self.last is None or (at, event_id) > (self.last_at, self.last[0]):
            self.last = (event_id, value)
        self.at(at)

    def span(self, at: datetime, since: int, until: int) -> None:
        """Count an event that reaches from `since` to `until`."""
        self.at(at)
        self.spans.append((since, until))


def union(spans: Spans) -> Spans:
    """The same time without overlaps, in order; spans that touch are one."""
    found: Spans = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def multirange(spans: Spans) -> str | None:
    """As Postgres reads it."""
    return "{" + ",".join(f"[{since},{until})" for since, until in union(spans)) + "}" if spans else None


@dataclass(frozen=True, slots=True)
class Words:
    """How often each word was seen.

    Beyond MOST_WORDS only those of the smallest digests are kept, with exact counts: whichever way events come and
    identifiers are joined, it is the same ones. `others` counts the rest, and `distinct` is estimated from how dense
    the digests lie.
    """

    kept: Mapping[str, Partial]
    others: int
    distinct: int

    @property
    def complete(self) -> bool:
        """Whether no word had to be left out."""
        return not self.others


def words(found: Mapping[str, Partial]) -> Words:
    """What may be said of counted words; those that were left out before stand under the empty word."""
    before = found[""].n if "" in found else 0
    kept = {word: partial for word, partial in found.items() if word}
    if len(kept) <= MOST_WORDS and not before:
        return Words(kept, 0, len(kept))
    chosen = sorted(kept, key=digest)[:MOST_WORDS]
    others = before + sum(partial.n for partial in kept.values()) - sum(kept[word].n for word in chosen)
    farthest = (int(digest(chosen[-1])[:_HEX], 16) + 1) / 16**_HEX if chosen else 1
    distinct = round((len(chosen) - 1) / farthest) if len(chosen) == MOST_WORDS else len(chosen)
    return Words({word: kept[word] for word in chosen}, others, distinct)


def digest(word: str) -> str:
    """Spreads words evenly; Postgres has the same."""
    return hashlib.md5(word.encode(), usedforsecurity=False).hexdigest()


def as_row(key: tuple[UUID, int, datetime, str], found: Partial) -> tuple[Any, ...]:
    """The columns of table `computed_partial`, in the order of `queries.COLUMNS`."""
    first, last = found.first or (None, None), found.last or (None, None)
    return (
        *key, found.n, found.total, found.low, found.high, found.first_at, found.last_at, *first, *last,
        multirange(found.spans),
    )  # fmt: skip
