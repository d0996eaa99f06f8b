"""Whose day it is, in SQL: what each time zone makes of the moment is worked out here, so both evaluators agree.

Postgres is told the answers and needs no calendar and no time zones of its own.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TypeVar

from perennial.common.rules.calendar.birthdays import YEARLESS, coming
from perennial.common.rules.calendar.windows import Calendar, today
from perennial.common.rules.calendar.zones import TRAITS, begins, known
from perennial.common.rules.sql.values import Binds, instant, spelled
from perennial.common.rules.values.scalars import LOCAL

T = TypeVar("T", bound=Hashable)
OWN_ZONE = "own_zone"

_DAY = timedelta(days=1)

# Which of a customer's identifiers speaks for a trait: the latest fact, ties by source and message.
LATEST = 't.at DESC, t.source COLLATE "C" DESC, t.message_id COLLATE "C" DESC, t.via DESC'
LATER = (
    '(u.at, u.source COLLATE "C", u.message_id COLLATE "C", u.via)'
    ' > (t.at, t.source COLLATE "C", t.message_id COLLATE "C", t.via)'
)


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment asked about, and SQL of the name of the customer's zone; where there is none, the default counts."""

    now: datetime
    binds: Binds
    default: tzinfo
    zone: str | None = None

    def each(self, answer: Callable[[date, tzinfo], T], said: Callable[[T], str]) -> str:
        """SQL of what a customer's zone, and the day that it is there, make of the moment."""
        usual = answer(today(self.now, self.default), self.default)
        if self.zone is None:
            return said(usual)
        groups: dict[T, list[str]] = {}
        for day, zones in _days(self.now).items():
            for name, zone in zones:
                groups.setdefault(answer(day, zone), []).append(name)
        groups.pop(usual, None)
        arms = (
            f"WHEN {self.zone} = ANY({self.binds(names, 'text[]')}) THEN {said(found)}"
            for found, names in groups.items()
        )
        return f"CASE {' '.join(arms)} ELSE {said(usual)} END" if groups else said(usual)

    def edges(self, calendar: Calendar) -> tuple[str, str]:
        """SQL of the instants at which a window begins and ends."""
        return self._edge(calendar, 0), self._edge(calendar, 1)

    def _edge(self, calendar: Calendar, end: int) -> str:
        day_of_edge = self._day(calendar, end)
        return self.each(
            lambda day, zone: begins(day_of_edge(day, zone), zone), lambda at: self.binds(at, "timestamptz")
        )

    @staticmethod
    def _day(calendar: Calendar, end: int) -> Callable[[date, tzinfo], date]:
        reach = calendar.reach
        remembered = lru_cache(maxsize=8)(reach.days)
        return lambda day, _zone: remembered(day)[end]

    def within(self, calendar: Calendar, at: str) -> str:
        """Whether a timestamptz lies in a calendar window."""
        first, stop = self.edges(calendar)
        return f"({at} >= {first} AND {at} < {stop})"

    def dated(self, calendar: Calendar, value: str) -> str:
        """Whether a jsonb value is a time or a day in a calendar window."""
        at = f"({instant(value)})"
        first, stop = (self.each(self._day(calendar, end), lambda day: self.binds(day, "date")) for end in (0, 1))
        day = f"({at} AT TIME ZONE 'UTC')::date"
        return (
            f"CASE WHEN {spelled(value)} ~ '^{LOCAL}$' THEN {day} >= {first} AND {day} < {stop}"
            f" ELSE {self.within(calendar, at)} END"
        )

    def birthday(self, count: int, value: str) -> str:
        """Whether a jsonb value's day comes back within `count` days."""
        day = (
            f"CASE WHEN jsonb_typeof({value}) = 'string' THEN CASE"
            f" WHEN {spelled(value)} ~ '^{YEARLESS}$' THEN right({spelled(value)}, 5)"
            f" WHEN {instant(value)} IS NOT NULL THEN substr({spelled(value)}, 6, 5) END END"
        )
        near = self.each(lambda day, _zone: coming(day, count), lambda found: self.binds(sorted(found), "text[]"))
        return f"({day}) = ANY({near})"

    def span(self, calendar: Calendar) -> tuple[datetime, datetime]:
        """No window of any zone reaches further, for an index."""
        days = {today(self.now, self.default), *_days(self.now)}
        found = [calendar.reach.days(day) for day in days]
        first, stop = min(first for first, _ in found), max(stop for _, stop in found)
        return begins(first, UTC) - _DAY, begins(stop, UTC) + _DAY

    def told_by(self, zone: str) -> "Clock":
        """The same with another SQL of the zone's name."""
        return replace(self, zone=zone)


@lru_cache(maxsize=16)
def _days(now: datetime) -> Mapping[date, list[tuple[str, tzinfo]]]:
    """The zones by the day that it is there: two or three."""
    found: dict[date, list[tuple[str, tzinfo]]] = {}
    for name, zone in known().items():
        found.setdefault(today(now, zone), []).append((name, zone))
    return found


@dataclass(slots=True)
class Zones:
    """Tables, by name, of the customers who have a zone of their own: its name, and how a window lies there."""

    clock: Clock
    tables: dict[str, str] = field(default_factory=dict)
    windows: dict[Calendar, str] = field(default_factory=dict)

    def named(self) -> str:
        """Of `customer_id`, `zone`."""
        if OWN_ZONE not in self.tables:
            self.tables[OWN_ZONE] = zones_sql(self.clock.binds)
        return OWN_ZONE

    def lying(self, calendar: Calendar) -> str:
        """Of `customer_id`, `begins`, `ends`."""
        if calendar not in self.windows:
            begins, ends = self.clock.told_by("own.zone").edges(calendar)
            self.windows[calendar] = f"own_span{len(self.windows)}"
            self.tables[self.windows[calendar]] = (
                f"SELECT own.customer_id, {begins} AS begins, {ends} AS ends FROM {self.named()} AS own"
            )
        return self.windows[calendar]

    def prelude(self, more: Mapping[str, str]) -> str:
        """What defines the tables, and more that may read them."""
        tables = {**self.tables, **more}
        made = ", ".join(f"{name} AS MATERIALIZED ({select})" for name, select in tables.items())
        return f"WITH {made}\n" if made else ""


def own_zone(value: str, binds: Binds) -> str:
    """SQL of a zone's name, null where the jsonb value names none."""
    named = f"{spelled(value)} = ANY({binds(list(known()), 'text[]')})"
    return f"CASE WHEN jsonb_typeof({value}) = 'string' AND {named} THEN {spelled(value)} END"


def zones_sql(binds: Binds) -> str:
    """A query of the customers who have a zone of their own, and its name."""
    keys, names = binds(list(TRAITS), "text[]"), binds(list(known()), "text[]")
    return (
        "SELECT DISTINCT ON (said.customer_id) said.customer_id, said.zone FROM ("
        f"SELECT DISTINCT ON (m.customer_id, t.key) m.customer_id, t.key, {spelled('t.value')} AS zone,"
        " jsonb_typeof(t.value) AS kind FROM trait AS t JOIN identity_map AS m ON m.via = t.via"
        f" WHERE t.key = ANY({keys}) ORDER BY m.customer_id, t.key, {LATEST}) AS said"
        f" WHERE said.kind = 'string' AND said.zone = ANY({names})"
        f" ORDER BY said.customer_id, array_position({keys}, said.key)"
    )
