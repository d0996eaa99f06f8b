"""Who the households are and which coupons they redeemed, as tracking calls."""

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, TypeAlias

import polars as pl

from perennial.demo.dataset import ZONE, instant, table

ISO = "%Y-%m-%dT%H:%M:%SZ"
TRAITS = {
    "age": "age_range",
    "income": "income_range",
    "home_ownership": "home_ownership",
    "marital_status": "marital_status",
    "household_size": "household_size",
    "household_comp": "household_composition",
    "kids_count": "kids_count",
}

Call: TypeAlias = tuple[datetime, str]


def compact(value: dict[str, Any]) -> str:
    """JSON without spaces, and without the fields that nothing is known of."""
    return json.dumps(
        {key: item for key, item in value.items() if item is not None}, separators=(",", ":"), ensure_ascii=False
    )


def identifies(orders: pl.DataFrame) -> Iterator[Call]:
    """One identify per household, two seconds before its first order."""
    known = {row["household_id"]: row for row in pl.read_parquet(table("demographics")).iter_rows(named=True)}
    first = orders.group_by("household_id", maintain_order=True).agg(pl.col("at").min())
    for household, at in first.iter_rows():
        when = at - timedelta(seconds=2)
        traits = {"household_id": household, **_demographics(household, known.get(household))}
        body = {"type": "identify", "messageId": f"cj-identify-{household}", **_who(household, when), "traits": traits}
        yield when, compact(body)


def redemptions(every: pl.DataFrame, loaded: int, shift_days: int) -> Iterator[Call]:
    """One Coupon Applied per redemption, a second before the order of that household on that local day.

    `every` holds all orders, of which the first `loaded` are sent. The few redemptions of a day
    without an order are at noon.
    """
    buyers = set(every["household_id"].head(loaded))
    for row in _redeemed(every, shift_days).iter_rows(named=True):
        noon = instant(datetime.combine(row["day"], time(12)))
        when = noon if row["at"] is None else row["at"] - timedelta(seconds=1)
        if row["order"] < loaded and row["household_id"] in buyers:
            yield when, _coupon(row, when)


def _who(household: int, when: datetime) -> dict[str, str]:
    return {"userId": f"household-{household}", "timestamp": when.strftime(ISO)}


def _demographics(household: int, row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {}
    traits = {trait: row[column] for column, trait in TRAITS.items() if row[column] is not None}
    return {"email": f"household-{household}@example.com", **traits}


def _redeemed(every: pl.DataFrame, shift_days: int) -> pl.DataFrame:
    """The redemptions, each with its order where there is one, else with the last order before its day."""
    local = pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE.key).dt.date()
    days = every.with_columns(day=local)
    with_coupons_first = days.sort("coupons", "order", descending=[True, False])
    of_the_day = with_coupons_first.unique(["household_id", "day"], keep="first", maintain_order=True)
    types = pl.read_parquet(table("campaign_descriptions"), columns=["campaign_id", "campaign_type"])
    redeemed = (
        pl.read_parquet(table("coupon_redemptions"))
        .with_columns(original=pl.col("redemption_date").dt.date())
        .with_columns(day=pl.col("original") + pl.duration(days=shift_days))
        .join(types, on="campaign_id", how="left")
        .join(
            of_the_day.select("household_id", "day", "order", "at", "basket_id"), on=["household_id", "day"], how="left"
        )
    )
    until = days.group_by("day").agg(last=pl.col("order").max()).sort("day")
    return redeemed.sort("day").join_asof(until, on="day").with_columns(pl.coalesce("order", "last").alias("order"))


def _coupon(row: dict[str, Any], when: datetime) -> str:
    original: date = row["original"]
    key = f"{row['household_id']}-{row['coupon_upc']}-{row['campaign_id']}-{original:%Y%m%d}"
    properties = {
        "coupon_id": str(row["coupon_upc"]),
        "coupon_name": f"{row['campaign_type']} campaign {row['campaign_id']}",
        "campaign_id": str(row["campaign_id"]),
        "order_id": None if row["basket_id"] is None else str(row["basket_id"]),
    }
    body = {
        "type": "track",
        "event": "Coupon Applied",
        "messageId": f"cj-coupon-{key}",
        **_who(row["household_id"], when),
    }
    return compact({**body, "properties": {name: item for name, item in properties.items() if item is not None}})
