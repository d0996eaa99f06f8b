"""A rule as one Postgres query over a service's fact tables: all customers for whom it holds.

Tables in the search path: `identity_map (via, customer_id)`, `trait (via, key, value, at, source, message_id)`,
`event (via, name, at, properties)`, `membership (segment_id, customer_id)`, a row being a member. Only those
that the rule reads need exist; what depends on the customer's calendar reads the trait of the time zone.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import assert_never

from perennial.common.rules.calendar.zones import deployment_zone
from perennial.common.rules.evaluation.conditions import on_calendar
from perennial.common.rules.grammar.nodes import (
    AllOf,
    AnyOf,
    Everyone,
    InBucket,
    InSegment,
    Not,
    OnElement,
    OnEvent,
    OnSequence,
    OnTrait,
    Rule,
)
from perennial.common.rules.grammar.parsing import dump
from perennial.common.rules.sql.clock import LATEST, Clock, Zones
from perennial.common.rules.sql.conditions import bounds_sql, condition_sql
from perennial.common.rules.sql.events import exceptions_sql, holds_without_events
from perennial.common.rules.sql.narrowing import narrowing
from perennial.common.rules.sql.sequences import sequence_sql
from perennial.common.rules.sql.values import Binds
from perennial.common.rules.values.paths import trait_path

__all__ = ["LATEST", "Sql", "to_sql"]


@dataclass(frozen=True, slots=True)
class Sql:
    """`session.execute(text(sql.text), sql.params)`; one column `customer_id`, no row twice."""

    text: str
    params: dict[str, object]


def to_sql(rule: Rule, now: datetime, zone: tzinfo | None = None, among: Sql | None = None) -> Sql:
    """The customers for whom `compile(rule, zone)` answers true at `now` (of fixed offset), of all or `among` some."""
    clock = Clock(now, Binds(), zone or deployment_zone())
    query = _Query(clock, Zones(clock))
    narrowed, rest = narrowing(rule, clock, query.zones, among.text if among else None)
    held = " AND ".join(query.rule(part) for part in rest) or "true"
    joins = "".join(
        f"\nLEFT JOIN ({select}) AS {alias} ON {alias}.customer_id = c.customer_id"
        for select, alias in query.joins.items()
    )
    source = next(reversed(narrowed), "(SELECT DISTINCT customer_id FROM identity_map)")
    text = f"{query.zones.prelude(narrowed)}SELECT c.customer_id FROM {source} AS c{joins}\nWHERE {held}"
    return Sql(text, {**query.binds.values, **(among.params if among else {})})


@dataclass(slots=True)
class _Query:
    clock: Clock
    zones: Zones
    joins: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)

    @property
    def binds(self) -> Binds:
        return self.clock.binds

    def rule(self, rule: Rule) -> str:
        match rule:
            case AllOf():
                return f"({' AND '.join(self.rule(inner) for inner in rule.rules)})"
            case AnyOf():
                return f"({' OR '.join(self.rule(inner) for inner in rule.rules)})"
            case Not():
                return f"(NOT {self.rule(rule.rule)})"
            case _:
                return self.once(rule)

    def once(self, leaf: Rule) -> str:
        """Equal leaves share a join; compared as JSON because True equals 1 in Python."""
        key = str(dump(leaf))
        if key not in self.leaves:
            self.leaves[key] = self.leaf(leaf)
        return self.leaves[key]

    def leaf(self, leaf: Rule) -> str:
        match leaf:
            case OnTrait() | OnElement():
                key, steps = trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)
                clock = self.local() if on_calendar(leaf) else self.clock
                return condition_sql(leaf, f"{self.trait(key)}.value", steps, self.binds, self.clock.now, clock)
            case OnEvent():
                alias = self.join(exceptions_sql(leaf, self.clock, self.zones))
                return f"({alias}.customer_id IS {'' if holds_without_events(leaf, self.clock.now) else 'NOT '}NULL)"
            case OnSequence():
                alias = self.join(sequence_sql(leaf, self.clock, self.zones))
                return f"({alias}.customer_id IS NOT NULL)"
            case InSegment():
                segment = self.binds(leaf.segment, "uuid")
                alias = self.join(f"SELECT DISTINCT customer_id FROM membership WHERE segment_id = {segment}")
                return f"({alias}.customer_id IS NOT NULL)"
            case InBucket():
                salted = f"{self.binds(leaf.bucket.salt, 'text')} || ':' || c.customer_id::text"
                digest = f"left(encode(sha256(convert_to({salted}, 'UTF8')), 'hex'), 8)"
                number = f"(('x' || {digest})::bit(32)::bigint % 100)"
                return f"({bounds_sql(leaf.bucket, number, self.binds)})"
            case Everyone():
                return "true"
            case AllOf() | AnyOf() | Not():
                raise TypeError(leaf)
        assert_never(leaf)

    def local(self) -> Clock:
        """By the customer's own zone."""
        alias = self.join(f"SELECT customer_id, zone FROM {self.zones.named()}")
        return self.clock.told_by(f"{alias}.zone")

    def trait(self, key: str) -> str:
        mark = f"trait {key}"
        if mark not in self.leaves:
            self.leaves[mark] = self.join(
                "SELECT DISTINCT ON (m.customer_id) m.customer_id, t.value"
                " FROM trait AS t JOIN identity_map AS m ON m.via = t.via"
                f" WHERE t.key = {self.binds(key, 'text')} ORDER BY m.customer_id, {LATEST}"
            )
        return self.leaves[mark]

    def join(self, select: str) -> str:
        return self.joins.setdefault(select, f"leaf{len(self.joins)}")
