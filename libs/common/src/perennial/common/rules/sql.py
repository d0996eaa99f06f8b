"""A rule as one Postgres query over a service's fact tables: all customers for whom it holds.

Tables in the search path: `identity_map (via, customer_id)`, `trait (via, key, value, at, source, message_id)`,
`event (via, name, at, properties)`, `membership (segment_id, customer_id)`, a row being a member. Only those
that the rule reads need exist.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from perennial.common.rules.nodes import (
    AllOf,
    AnyOf,
    Everyone,
    InBucket,
    InSegment,
    Not,
    OnEvent,
    OnTrait,
    Rule,
)
from perennial.common.rules.parsing import dump
from perennial.common.rules.paths import trait_path
from perennial.common.rules.sql_conditions import bounds_sql, condition_sql
from perennial.common.rules.sql_events import exceptions_sql, holds_without_events
from perennial.common.rules.sql_values import Binds

# Which of a customer's identifiers speaks for a trait: the latest fact, ties by source and message.
LATEST = 't.at DESC, t.source COLLATE "C" DESC, t.message_id COLLATE "C" DESC, t.via DESC'


@dataclass(frozen=True, slots=True)
class Sql:
    """`session.execute(text(sql.text), sql.params)`; one column `customer_id`, no row twice."""

    text: str
    params: dict[str, object]


def to_sql(rule: Rule, now: datetime) -> Sql:
    """The customers for whom `compile(rule)` answers true at `now` (with a zone)."""
    query = _Query(now)
    held = query.rule(rule)
    joins = "".join(
        f"\nLEFT JOIN ({select}) AS {alias} ON {alias}.customer_id = c.customer_id"
        for select, alias in query.joins.items()
    )
    source = "(SELECT DISTINCT customer_id FROM identity_map) AS c"
    return Sql(f"SELECT c.customer_id FROM {source}{joins}\nWHERE {held}", query.binds.values)


@dataclass(slots=True)
class _Query:
    now: datetime
    binds: Binds = field(default_factory=Binds)
    joins: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)

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
            case OnTrait():
                key, steps = trait_path(leaf.trait)
                return condition_sql(leaf, f"{self.trait(key)}.value", steps, self.binds, self.now)
            case OnEvent():
                alias = self.join(exceptions_sql(leaf, self.binds, self.now))
                return f"({alias}.customer_id IS {'' if holds_without_events(leaf, self.now) else 'NOT '}NULL)"
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
