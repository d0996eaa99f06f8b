"""When identifiers were first and last seen, and by which sources: written at most once an hour each."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from perennial.common.db import WriteSession, raw

GRAIN = timedelta(hours=1)
REMEMBERED = 100_000

# What says nothing new is read and not touched: an upsert would lock its row, which is a write.
_WRITE = """
    INSERT INTO seen AS s (via, source, first_at, last_at)
    SELECT new.* FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
      AS new (via, source, first_at, last_at)
    LEFT JOIN seen AS old ON old.via = new.via AND old.source = new.source
    WHERE old.via IS NULL OR new.first_at < old.first_at - interval '1 hour'
       OR new.last_at > old.last_at + interval '1 hour'
    ORDER BY new.via, new.source
    ON CONFLICT (via, source) DO UPDATE
      SET first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)"""


class Span(NamedTuple):
    """An identifier at a source, from one time to another."""

    via: UUID
    source: str
    first: datetime
    last: datetime


Key = tuple[int, str]  # the identifier's integer: hashing a UUID is slow, and every event passes here


class Lately:
    """What this process has written of late; the oldest is forgotten first."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._known: dict[Key, tuple[datetime, datetime]] = {}  # nothing between the two is news
        self._most = most

    def news(self, said: Iterable[tuple[UUID, str, datetime]]) -> dict[Key, Span]:
        """What is new of where and when identifiers were seen, to the hour."""
        known = self._known
        found: dict[Key, Span] = {}
        for via, source, at in said:
            key = (via.int, source)
            written = known.get(key)
            if written is not None and written[0] <= at <= written[1]:
                continue
            span = found.get(key)
            if span is None:
                found[key] = Span(via, source, at, at)
            elif not span.first <= at <= span.last:
                found[key] = Span(via, source, min(span.first, at), max(span.last, at))
        return found

    def keep(self, spans: dict[Key, Span]) -> None:
        """Remember what has been committed."""
        for key, span in spans.items():
            low, high = span.first - GRAIN, span.last + GRAIN
            known = self._known.pop(key, (low, high))
            self._known[key] = (min(known[0], low), max(known[1], high))
        for key in list(islice(self._known, max(0, len(self._known) - self._most))):
            del self._known[key]


class Sightings:
    """What one transaction sees. Tell `committed` when it is: only then may its rows be taken for written."""

    def __init__(self, lately: Lately | None = None) -> None:
        self._lately = lately or Lately()
        self._fresh: dict[Key, Span] = {}

    @property
    def news(self) -> list[Span]:
        """What it has written."""
        return list(self._fresh.values())

    async def write(self, session: WriteSession, said: Iterable[tuple[UUID, str, datetime]]) -> None:
        """Write where and when identifiers were seen, as far as it is news."""
        self._fresh = self._lately.news(said)
        if self._fresh:
            await (await raw(session)).execute(_WRITE, *zip(*self._fresh.values(), strict=True))

    def committed(self) -> None:
        """It need not be written again within the hour."""
        self._lately.keep(self._fresh)
