"""When identifiers were first and last seen, and by which sources: written at most once an hour each."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from perennial.common.db import WriteSession, raw

GRAIN = timedelta(hours=1)
REMEMBERED = 100_000

_WRITE = """
    INSERT INTO seen AS s (via, source, first_at, last_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
      AS new (via, source, first_at, last_at)
    ORDER BY via, source
    ON CONFLICT (via, source) DO UPDATE
      SET first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)
      WHERE excluded.first_at < s.first_at - interval '1 hour' OR excluded.last_at > s.last_at + interval '1 hour'"""


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
        self._written: dict[Key, tuple[datetime, datetime]] = {}
        self._most = most

    def news(self, spans: Iterable[tuple[Key, Span]]) -> dict[Key, Span]:
        """Those that say something new, to the hour."""
        written = self._written
        found = {}
        for key, span in spans:
            known = written.get(key)
            if known is None or span.first < known[0] - GRAIN or span.last > known[1] + GRAIN:
                found[key] = span
        return found

    def keep(self, spans: dict[Key, Span]) -> None:
        """Remember what has been committed."""
        for key, span in spans.items():
            known = self._written.pop(key, (span.first, span.last))
            self._written[key] = (min(known[0], span.first), max(known[1], span.last))
        for key in list(islice(self._written, max(0, len(self._written) - self._most))):
            del self._written[key]


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
        self._fresh = self._lately.news(_spans(said).items())
        if self._fresh:
            await (await raw(session)).execute(_WRITE, *zip(*self._fresh.values(), strict=True))

    def committed(self) -> None:
        """It need not be written again within the hour."""
        self._lately.keep(self._fresh)


def _spans(said: Iterable[tuple[UUID, str, datetime]]) -> dict[Key, Span]:
    spans: dict[Key, Span] = {}
    for via, source, at in said:
        key = (via.int, source)
        known = spans.get(key)
        if known is None:
            spans[key] = Span(via, source, at, at)
        elif not known.first <= at <= known.last:
            spans[key] = Span(via, source, min(known.first, at), max(known.last, at))
    return spans
