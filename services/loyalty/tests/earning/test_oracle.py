"""Rules, orders, updates and refunds in any sequence: what is left equals what a naive oracle says."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BEGIN = datetime(2025, 5, 16, 20, tzinfo=UTC)  # a Friday
CATEGORIES = ("Tea", "Mugs", "茶")
PEOPLE, ORDERS = 2, 4
BALANCE = text("SELECT coalesce(sum(balance + pending), 0) FROM account WHERE via = :via")


@dataclass(frozen=True)
class Rule:
    """What the programme's JSON says, as the oracle reads it."""

    name: str
    rate: Fraction
    category: str | None = None
    weekend: bool = False
    least: int | None = None
    rounding: str = "floor"
    group: str | None = None
    priority: int = 0
    cap: tuple[str, int, str] | None = None
    first: bool = False
    boost: int | None = None

    def document(self) -> dict[str, Any]:
        says: dict[str, Any] = {"name": self.name, "points_per_unit": str(float(self.rate)), "rounding": self.rounding}
        conditions: list[dict[str, Any]] = []
        if self.weekend:
            conditions.append({"trait": "$weekday", "in": ["sat", "sun"]})
        if self.least is not None:
            conditions.append({"trait": "$amount", "gte": self.least})
        if conditions:
            says["condition"] = {"all": conditions}
        if self.category:
            says["lines"] = {"trait": "category", "is": self.category}
        if self.boost:
            says["boosts"] = [{"name": "b", "factor": self.boost, "condition": {"trait": "channel", "is": "app"}}]
        if self.cap:
            kind, most, per = self.cap
            says["caps"] = [{kind: most, "per": per}]
        return says | {"group": self.group, "priority": self.priority, "first_order": self.first}

    def points(self, order: "Said") -> int:
        if self.weekend and order.at.weekday() < 5:
            return 0
        if self.least is not None and order.cents < self.least * 100:
            return 0
        units = Fraction(order.cents, 100)
        if self.category:
            whole = sum(Fraction(price) for _, price in order.lines)
            mine = sum((Fraction(price) for category, price in order.lines if category == self.category), Fraction(0))
            units = mine * units / whole if whole and units < whole else mine
        exact = units * self.rate * (self.boost if self.boost and order.app else 1)
        turned = {"floor": floor(exact), "ceiling": ceil(exact), "half_up": floor(exact + Fraction(1, 2))}
        return turned[self.rounding]


@dataclass(frozen=True)
class Said:
    """A completion or an update."""

    at: datetime
    cents: int
    lines: tuple[tuple[str, int], ...]
    app: bool

    def properties(self, order: int) -> dict[str, Any]:
        return {
            "order_id": str(order), "revenue": f"{self.cents // 100}.{self.cents % 100:02}",
            "products": [{"category": category, "price": price} for category, price in self.lines],
            "channel": "app" if self.app else "web",
        }  # fmt: skip


@dataclass
class Order:
    person: int
    completed: Said | None = None
    updated: Said | None = None
    refunds: list[int | None] = field(default_factory=list)
    holds: Said | None = None
    given: dict[str, int] = field(default_factory=dict)

    @property
    def begun(self) -> datetime:
        assert self.completed
        return self.completed.at

    def kept(self) -> int:
        if self.holds is None or None in self.refunds:
            return 0
        points, back = sum(self.given.values()), sum(cents or 0 for cents in self.refunds)
        if back and back >= self.holds.cents:
            return 0
        return points - floor(Fraction(points * back, self.holds.cents)) if back else points


class Oracle:
    """Orders in lists; a statement that comes to hold is given its points, by what the others were given."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.orders: dict[int, Order] = {}

    def tell(self, number: int, person: int, name: str, said: Said | None, back: int | None) -> None:
        order = self.orders.setdefault(number, Order(person))
        if name == "completed" and said:
            order.person = order.person if order.completed else person
            order.completed = said if order.completed is None or said.at < order.completed.at else order.completed
        elif name == "updated" and said:
            order.updated = said if order.updated is None or said.at > order.updated.at else order.updated
        else:
            order.refunds.append(back)
        holds = order.completed
        if holds and order.updated and order.updated.at >= holds.at:
            holds = order.updated
        if holds is not order.holds:
            order.holds = holds
            order.given = self.grant(number, order) if holds else {}

    def grant(self, number: int, order: Order) -> dict[str, int]:
        assert order.holds
        holds, begun = order.holds, order.begun
        others = [other for key, other in self.orders.items()
                  if key != number and other.person == order.person and other.completed]  # fmt: skip
        first = all(other.begun > begun for other in others)

        def left(rule: Rule) -> int:
            points = rule.points(holds)
            if rule.first and (not first or any(other.given.get(rule.name) for other in others)):
                return 0
            if rule.cap is None:
                return points
            kind, most, per = rule.cap
            had = [other.given.get(rule.name, 0) for other in others
                   if span(per, other.begun.date()) == span(per, begun.date())]  # fmt: skip
            if kind == "times":
                return points if sum(1 for item in had if item) < most else 0
            return max(0, min(points, most - (0 if per == "event" else sum(had))))

        given = {}
        for rule in self.rules:
            rivals = [item for item in self.rules if item.group == rule.group and left(item)] if rule.group else [rule]
            best = max(rivals, key=lambda item: (item.priority, left(item)), default=None)
            if best is rule and left(rule):
                given[rule.name] = left(rule)
        return given


def span(per: str, day: date) -> Any:
    return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month), "ever": 0, "event": day}[per]


rule = st.builds(
    Rule, name=st.just(""), rate=st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(5, 2)]),
    category=st.none() | st.sampled_from(CATEGORIES), weekend=st.booleans(), least=st.none() | st.just(40),
    rounding=st.sampled_from(["floor", "half_up", "ceiling"]), group=st.sampled_from([None, None, "g"]),
    priority=st.integers(0, 1), first=st.sampled_from([False, False, True]), boost=st.none() | st.just(2),
    cap=st.none() | st.tuples(st.just("points"), st.sampled_from([0, 30, 100]),
                              st.sampled_from(["event", "day", "week", "month", "ever"]))
    | st.tuples(st.just("times"), st.integers(1, 2), st.sampled_from(["day", "week", "ever"])),
)  # fmt: skip
said = st.tuples(
    st.integers(0, 72), st.integers(0, 9000), st.booleans(),
    st.lists(st.tuples(st.sampled_from(CATEGORIES), st.integers(0, 60)), max_size=3),
)  # fmt: skip
which, who = st.integers(0, ORDERS - 1), st.integers(0, PEOPLE - 1)
step = st.one_of(
    st.tuples(st.just("completed"), which, who, said), st.tuples(st.just("updated"), which, who, said),
    st.tuples(st.just("refunded"), which, who, st.none() | st.integers(0, 5000)),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=st.lists(rule, min_size=1, max_size=4), steps=st.lists(step, min_size=3, max_size=14))
async def test_after_every_step_each_person_has_what_the_oracle_says(shop: Any, rules: Any, steps: Any) -> None:
    named = [Rule(**{**item.__dict__, "name": f"rule {number}"}) for number, item in enumerate(rules)]
    async with shop.session.begin_nested() as example:
        await shop.programme(LONG_AGO, earn_rules=[item.document() for item in named])
        vias, oracle = [uuid7() for _ in range(PEOPLE)], Oracle(named)
        for moment, (name, number, person, detail) in enumerate(steps):
            at = BEGIN + timedelta(days=6, seconds=moment)
            if name == "refunded":
                properties = {"order_id": str(number)} | ({} if detail is None else {"revenue": f"{detail / 100:.2f}"})
                oracle.tell(number, person, name, None, detail)
            else:
                at = BEGIN + timedelta(hours=detail[0], microseconds=moment)
                told = Said(at, detail[1], tuple(detail[3]), detail[2])
                properties = told.properties(number)
                oracle.tell(number, person, name, told, None)
            await shop.say(tracked(f"Order {name.title()}", properties, via=vias[person], at=at))
            await shop.prove()
            for one, via in enumerate(vias):
                kept = sum(order.kept() for order in oracle.orders.values() if order.person == one)
                has = await shop.session.scalar(BALANCE, {"via": via})
                assert has == kept, (moment, name)
        await example.rollback()
