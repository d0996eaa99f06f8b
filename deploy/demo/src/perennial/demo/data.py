"""The data files as tracking calls: identify, Coupon Applied and Order Completed, in time order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from perennial.demo.client import Json
from perennial.demo.dataset import ZONE, table
from perennial.demo.people import ISO, compact, identifies, redemptions

CHUNK = 2_000
CURRENCY = "USD"
SALES = ["household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "coupon_disc"]


@dataclass(frozen=True)
class Shopper:
    """A household, its last basket, and the dearest product in it."""

    household: int
    email: bool
    basket_id: int
    product_id: int
    product: str | None
    cents: int

    @property
    def line(self) -> Json:
        """The product as it stands in a cart or an order."""
        known = f"{{{self.product}}}" if self.product else f'{{"product_id":"{self.product_id}"}}'
        return {**json.loads(known), "price": self.cents / 100, "quantity": 1}


@dataclass(frozen=True)
class Load:
    """What one run sends: `orders` and their `lines` in time order, the `others` as JSON already."""

    orders: pl.DataFrame
    lines: pl.DataFrame
    products: pl.DataFrame
    others: pl.DataFrame

    @property
    def events(self) -> int:
        """How many calls the chunks hold."""
        return self.orders.height + self.others.height

    def shoppers(self) -> list[Shopper]:
        """Each household, the latest shopper first, with the dearest line of its last order."""
        known = pl.read_parquet(table("demographics"), columns=["household_id"])["household_id"]
        last = self.orders.group_by("household_id").agg(pl.col("at", "order", "basket_id").last())
        dearest = self.lines.sort("cents", descending=True).unique("order", keep="first")
        rows = (
            last.join(dearest, on="order")
            .join(self.products, on="product_id", how="left")
            .with_columns(email=pl.col("household_id").is_in(known.implode()))
            .sort("at", "household_id", descending=True)
            .select("household_id", "email", "basket_id", "product_id", "product", "cents")
        )
        return [Shopper(*row) for row in rows.iter_rows()]

    def chunks(self) -> Iterator[list[str]]:
        """Lists of JSON events; one list at a time is in memory."""
        sent = 0
        for start in range(0, self.orders.height, CHUNK):
            part = self.orders.slice(start, CHUNK)
            last = start + CHUNK >= self.orders.height
            until = self.others.height if last else self.others.filter(pl.col("at") <= part["at"].max()).height
            both = pl.concat([self.others.slice(sent, max(until - sent, 0)), self._bodies(part)])
            sent = max(until, sent)
            yield both.sort("at", maintain_order=True)["body"].to_list()

    def _bodies(self, orders: pl.DataFrame) -> pl.DataFrame:
        first, last = orders["first_line"][0], orders["first_line"][-1] + orders["lines"][-1]
        products = (
            self.lines.slice(first, last - first)
            .join(self.products, on="product_id", how="left", maintain_order="left")
            .with_columns(line=_line())
            .group_by("order", maintain_order=True)
            .agg(pl.col("line").str.join(","))
        )
        return orders.join(products, on="order", maintain_order="left").select("at", body=_order())


def prepare(shift_days: int, limit: int | None = None) -> Load:
    """The load of the first `limit` orders (all when None), every date `shift_days` later."""
    sales = _sales(shift_days)
    every = _orders(sales)
    orders = every.head(limit) if limit else every
    lines = (
        sales.filter((pl.col("quantity") > 0) | (pl.col("cents") > 0))
        .select("row", "basket_id", "product_id", "quantity", "cents")
        .join(orders.select("basket_id", "order"), on="basket_id")
        .sort("order", "row")
        .drop("row", "basket_id")
    )
    spans = lines.group_by("order").agg(lines=pl.len().cast(pl.Int64)).sort("order")
    orders = orders.join(spans.with_columns(first_line=pl.col("lines").cum_sum() - pl.col("lines")), on="order").sort(
        "order"
    )
    calls = [*identifies(orders), *redemptions(every, orders.height, shift_days)]
    others = pl.DataFrame(calls, schema={"at": pl.Datetime("us"), "body": pl.String}, orient="row")
    return Load(orders, lines, _products(), others.sort("at"))


def shifted(column: str, days: int) -> pl.Expr:
    """The UTC instant that many whole days later on the shop's clock.

    A wall time that the new day skips moves an hour on, one that it repeats is taken the first time:
    the local day never changes.
    """
    local = pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE.key).dt.replace_time_zone(None)
    wall = (local + pl.duration(days=days)).dt.cast_time_unit("us")
    return pl.coalesce(_instant(wall), _instant(wall + pl.duration(hours=1)))


def _instant(wall: pl.Expr) -> pl.Expr:
    zoned = wall.dt.replace_time_zone(ZONE.key, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _sales(shift_days: int) -> pl.DataFrame:
    cents = (pl.col("sales_value") * 100).round().cast(pl.Int64)
    scan = pl.scan_parquet(table("transactions")).select(*SALES, "transaction_timestamp").with_row_index("row")
    return scan.with_columns(at=shifted("transaction_timestamp", shift_days), cents=cents).drop("sales_value").collect()


def _orders(sales: pl.DataFrame) -> pl.DataFrame:
    """One row per basket with sales above 0, numbered in the order of the data."""
    return (
        sales.group_by("basket_id")
        .agg(
            pl.col("household_id", "store_id", "transaction_timestamp", "at").first(),
            pl.col("cents").sum(),
            coupons=pl.col("coupon_disc").sum(),
        )
        .filter(pl.col("cents") > 0)
        .sort("transaction_timestamp", "basket_id")
        .drop("transaction_timestamp")
        .with_row_index("order")
    )


def _products() -> pl.DataFrame:
    """What every line that sells a product says of it, as the inside of a JSON object."""
    name = pl.coalesce("product_type", "product_category", "department").alias("name")
    columns = pl.read_parquet(table("products")).select("product_id", name, category="product_category", brand="brand")
    rows = [
        (row["product_id"], compact({**row, "product_id": str(row["product_id"])})[1:-1])
        for row in columns.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema={"product_id": pl.Int64, "product": pl.String}, orient="row")


def _line() -> pl.Expr:
    """One product of a basket: price × quantity is what was paid, to the cent.

    Fuel and multi-buys whose price is no whole number of cents are one piece of so many `units`.
    """
    pieces = pl.col("quantity").clip(1)
    whole = pl.col("cents") % pieces == 0
    price = pl.when(whole).then(pl.col("cents") // pieces).otherwise("cents")
    count = pl.when(whole).then(pieces.cast(pl.String)).otherwise(_text('1,"units":', "quantity"))
    product = pl.coalesce("product", _text('"product_id":"', "product_id", '"'))
    return pl.concat_str(
        pl.lit("{"), product, pl.lit(',"price":'), _money(price), pl.lit(',"quantity":'), count, pl.lit("}")
    )


def _order() -> pl.Expr:
    return pl.concat_str(
        pl.lit('{"type":"track","event":"Order Completed","messageId":"cj-order-'),
        pl.col("basket_id"),
        pl.lit('","userId":"household-'),
        pl.col("household_id"),
        pl.lit('","timestamp":"'),
        pl.col("at").dt.strftime(ISO),
        pl.lit('","properties":{"order_id":"'),
        pl.col("basket_id"),
        pl.lit('","affiliation":"Store '),
        pl.col("store_id"),
        pl.lit(f'","currency":"{CURRENCY}","revenue":'),
        _money(pl.col("cents")),
        pl.lit(',"products":['),
        pl.col("line"),
        pl.lit("]}}"),
    )


def _text(*parts: str) -> pl.Expr:
    before, column, *after = parts
    return pl.concat_str(pl.lit(before), pl.col(column), *map(pl.lit, after))


def _money(cents: pl.Expr) -> pl.Expr:
    """A JSON number with two decimals; no float on the way."""
    return pl.concat_str(cents // 100, pl.lit("."), (cents % 100).cast(pl.String).str.zfill(2))
