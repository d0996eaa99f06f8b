"""The figures straight from the data files, by another path than the load: SQL for the sums, zoneinfo for the time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl

from perennial.demo.dataset import ZONE, local_day, table

BASKETS = """
    SELECT basket_id, household_id, transaction_timestamp AS paid,
           CAST(ROUND(SUM(sales_value) * 100) AS BIGINT) AS cents
    FROM transactions GROUP BY basket_id, household_id, transaction_timestamp
    HAVING SUM(sales_value) > 0.001 ORDER BY paid, basket_id LIMIT {limit}
"""
HOUSEHOLDS = """
    SELECT household_id, COUNT(*) AS frequency, SUM(cents) AS cents, SUM(cents // 100) AS points, MAX(at) AS last_at
    FROM orders GROUP BY household_id ORDER BY household_id
"""
MONTHS = "SELECT month, COUNT(*) AS orders, SUM(cents) AS cents FROM orders GROUP BY month ORDER BY month"


@dataclass(frozen=True)
class Household:
    """What one household bought; points are 1 per whole dollar of each order."""

    frequency: int
    monetary: Decimal
    points: int
    last_at: datetime

    def recency(self, as_of: datetime, zone: ZoneInfo) -> int:
        """Calendar days in a zone from the last order to `as_of`."""
        return (local_day(as_of, zone) - local_day(self.last_at, zone)).days


@dataclass(frozen=True)
class LiveOrder:
    """An order that the demo itself placed after the import."""

    household: int
    order_id: str
    at: datetime
    amount: Decimal


@dataclass(frozen=True)
class Reference:
    """What the platform must show."""

    orders: pl.DataFrame
    households: dict[int, Household]
    months: dict[str, tuple[int, Decimal]]

    @property
    def gmv(self) -> Decimal:
        """The money of all orders."""
        return money(int(self.orders["cents"].sum()))

    @property
    def points(self) -> int:
        """The points of all households."""
        return sum(household.points for household in self.households.values())

    def with_orders(self, placed: Iterable[LiveOrder]) -> "Reference":
        """The same with orders on top that the demo itself placed."""
        rows = list(self.orders.select("household_id", "cents", "at").iter_rows())
        return _reference(rows + [(order.household, int(order.amount * 100), order.at) for order in placed])

    def lapsed(self, as_of: datetime, days: int) -> set[int]:
        """The households whose last order is at least so many days before `as_of`."""
        limit = as_of - timedelta(days=days)
        return {key for key, household in self.households.items() if household.last_at <= limit}

    def spenders(self, amount: int) -> set[int]:
        """The households whose orders add up to that much."""
        return {key for key, household in self.households.items() if household.monetary >= amount}

    def families(self) -> set[int]:
        """The households that are known to have children."""
        sql = pl.SQLContext(demographics=pl.scan_parquet(table("demographics")))
        found = sql.execute("SELECT household_id FROM demographics WHERE kids_count <> '0'").collect()
        return set(found["household_id"].to_list()) & self.households.keys()

    def regulars(self, as_of: datetime, days: int, count: int) -> set[int]:
        """The households with at least `count` orders in the days before `as_of`."""
        recent = self.orders.filter(pl.col("at") > as_of - timedelta(days=days))
        often = recent.group_by("household_id").len().filter(pl.col("len") >= count)
        return set(often["household_id"].to_list())


def compute(shift_days: int, limit: int | None = None) -> Reference:
    """The figures of the first `limit` orders of the data, dated that many days later."""
    sql = pl.SQLContext(transactions=pl.scan_parquet(table("transactions")))
    baskets = sql.execute(BASKETS.format(limit=limit or 10**9)).collect()
    shift = timedelta(days=shift_days)
    return _reference(
        [
            (household, cents, (paid.replace(tzinfo=UTC).astimezone(ZONE) + shift).astimezone(UTC))
            for household, cents, paid in baskets.select("household_id", "cents", "paid").iter_rows()
        ]
    )


def _reference(rows: list[tuple[int, int, datetime]]) -> Reference:
    months = pl.Series([f"{local_day(at):%Y-%m}" for _, _, at in rows], dtype=pl.String)
    orders = pl.DataFrame(
        rows,
        schema=[("household_id", pl.Int64), ("cents", pl.Int64), ("at", pl.Datetime("us", "UTC"))],
        orient="row",
    ).with_columns(month=months)
    sql = pl.SQLContext(orders=orders)
    homes = sql.execute(HOUSEHOLDS).collect().iter_rows()
    per_month = sql.execute(MONTHS).collect().iter_rows()
    return Reference(
        orders,
        {key: Household(count, money(cents), points, last_at) for key, count, cents, points, last_at in homes},
        {month: (count, money(cents)) for month, count, cents in per_month},
    )


def money(cents: int) -> Decimal:
    """Cents as an amount with two decimals."""
    return Decimal(cents).scaleb(-2)
