"""Scores against a naive oracle: ties, refunds, cancellations, several currencies, thresholds that stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common import identity_map, orders
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.runs import building
from perennial.segments.rfm.runs.computing import freeze
from perennial.segments.rfm.settings.schemas import Bands, SettingsOut
from perennial.segments.rfm.standings.queries import move

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
EVER = datetime(1, 1, 1, tzinfo=UTC)
TABLES = ("purchase", "identity_map", "rfm_standing", "rfm_model", "rfm_scoring")
BANDS = Bands(recency_days=[20, 9, 4, 1], frequency=[2, 3, 4, 5], monetary=[Decimal(n) for n in (0, 5, 20, 40)])


@dataclass(frozen=True)
class Order:
    """One order as the tests make it up."""

    days: int
    cents: int
    currency: str | None
    end: str
    back: int = 0

    @property
    def counts(self) -> bool:
        return self.end not in {"cancelled", "returned"}

    @property
    def worth(self) -> Decimal:
        amount = Decimal(self.cents) / 100
        back = Decimal(self.back if self.end == "refunded" else 0) / 100
        return amount - min(back, amount)


@dataclass
class Sums:
    """What a naive reader adds up of one customer in one currency."""

    last: datetime = EVER
    frequency: int = 0
    monetary: Decimal = field(default_factory=Decimal)

    def add(self, order: Order) -> None:
        self.last = max(self.last, NOW - timedelta(days=order.days))
        self.frequency += 1
        self.monetary += order.worth

    @property
    def values(self) -> tuple[datetime, int, Decimal]:
        return self.last, self.frequency, self.monetary


ORDERS = st.builds(
    Order,
    days=st.integers(0, 30),
    cents=st.sampled_from([-500, 0, 1, 999, 1000, 1000, 1000, 2550]),
    currency=st.sampled_from([None, "USD", "USD", "CNY"]),
    end=st.sampled_from(["kept", "kept", "kept", "refunded", "returned", "cancelled"]),
    back=st.integers(0, 3000),
)
SHOPS = st.lists(st.lists(ORDERS, max_size=5), min_size=1, max_size=12)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


async def keep(session: WriteSession, customers: Sequence[UUID], shop: Sequence[Sequence[Order]]) -> None:
    events: list[Any] = []
    for via, made in zip(customers, shop, strict=True):
        for order in made:
            said: dict[str, Any] = {"order_id": uuid7().hex}
            at = NOW - timedelta(days=order.days)
            more = {"revenue": str(Decimal(order.cents) / 100), "currency": order.currency}
            events.append(tracked("Order Completed", {**said, **more}, via=via, at=at))
            if order.end == "refunded":
                back = {**said, "total": str(Decimal(order.back) / 100)}
                events.append(tracked("Order Refunded", back, via=via, at=at))
            elif order.end != "kept":
                name = "Order Cancelled" if order.end == "cancelled" else "Order Refunded"
                events.append(tracked(name, said, via=via, at=at))
    await identity_map.learn(session, events)
    await orders.record(session, events)


def naive(customers: Sequence[UUID], shop: Sequence[Sequence[Order]]) -> dict[str, dict[UUID, Sums]]:
    found: dict[str, dict[UUID, Sums]] = {}
    for via, made in zip(customers, shop, strict=True):
        for order in made:
            if order.counts:
                found.setdefault(order.currency or "USD", {}).setdefault(via, Sums()).add(order)
    return found


def rank(value: Any, among: Sequence[Any]) -> int:
    """1 + floor(5 · strictly worse / n), at most 5."""
    worse = sum(1 for other in among if other < value)
    return min(5, 1 + 5 * worse // len(among))


def scores(one: Sums, among: Sequence[Sums]) -> list[int]:
    return [rank(value, [other.values[n] for other in among]) for n, value in enumerate(one.values)]


async def start(database: BoundDatabase, session: WriteSession, chosen: SettingsOut) -> UUID:
    run = uuid7()
    await session.execute(
        text("INSERT INTO rfm_scoring (id, state, cause) VALUES (:id, 'computing', 'asked')"), {"id": run}
    )
    rows = await freeze(session, run, chosen, NOW)
    await building.stand(session, run, rows)
    return run


async def seen(session: WriteSession, run: UUID) -> dict[str, dict[UUID, list[int]]]:
    rows = await session.execute(
        text("SELECT currency, customer_id, r, f, m FROM rfm_standing WHERE run_id = :run AND NOT gone"), {"run": run}
    )
    found: dict[str, dict[UUID, list[int]]] = {}
    for currency, customer, *three in rows:
        found.setdefault(currency, {})[customer] = three
    return found


async def clear(session: WriteSession) -> None:
    for table in TABLES[::-1]:
        await session.execute(text(f"DELETE FROM {table}"))


@quick
@given(SHOPS)
async def test_scores_are_ranks_among_all_and_ties_share(database: BoundDatabase, shop: list[list[Order]]) -> None:
    customers = [uuid7() for _ in shop]
    async with database.write() as session:
        await clear(session)
        await keep(session, customers, shop)
        run = await start(database, session, SettingsOut(version=0, updated_at=None))
        expected = {
            currency: {customer: scores(sums, list(people.values())) for customer, sums in people.items()}
            for currency, people in naive(customers, shop).items()
        }
        assert await seen(session, run) == expected


@quick
@given(SHOPS, SHOPS)
async def test_an_event_moves_a_customer_as_if_it_had_been_ranked_among_those_of_the_run(
    database: BoundDatabase, shop: list[list[Order]], later: list[list[Order]]
) -> None:
    customers = [uuid7() for _ in shop]
    more = [*later, *([[]] * len(shop))][: len(shop)]
    async with database.write() as session:
        await clear(session)
        await keep(session, customers, shop)
        run = await start(database, session, SettingsOut(version=0, updated_at=None))
        frozen = naive(customers, shop)
        await keep(session, customers, more)
        done = await move(session, run, customers, (), "USD")
        after = naive(customers, [[*was, *new] for was, new in zip(shop, more, strict=True)])
        expected = {
            currency: {customer: scores(sums, list(frozen[currency].values())) for customer, sums in people.items()}
            for currency, people in after.items()
            if currency in frozen
        }
        assert await seen(session, run) == expected
        assert done.strange == bool(after.keys() - frozen.keys())
        again = await move(session, run, customers, (), "USD")
        assert again.moved == 0


@quick
@given(SHOPS)
async def test_fixed_bands_of_one_currency_leave_the_others_to_quantiles(
    database: BoundDatabase, shop: list[list[Order]]
) -> None:
    customers = [uuid7() for _ in shop]
    chosen = SettingsOut(version=1, updated_at=None, bands={"USD": BANDS})
    async with database.write() as session:
        await clear(session)
        await keep(session, customers, shop)
        run = await start(database, session, chosen)
        found, people = await seen(session, run), naive(customers, shop)
        for customer, sums in people.get("USD", {}).items():
            days = (NOW.date() - sums.last.date()).days
            assert found["USD"][customer] == [
                1 + sum(days <= most for most in BANDS.recency_days),
                1 + sum(sums.frequency >= least for least in BANDS.frequency),
                1 + sum(sums.monetary >= least for least in BANDS.monetary),
            ]
        yuan = people.get("CNY", {})
        assert found.get("CNY", {}) == {key: scores(sums, list(yuan.values())) for key, sums in yuan.items()}
