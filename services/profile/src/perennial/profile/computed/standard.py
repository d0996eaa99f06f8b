"""The computed traits that every shop has from the first day."""

import json
from typing import Any

from perennial.profile.computed.spec import Spec, feed_of

_ORDERED = {"events": ["Order Completed"]}
_VISITS = {"types": ["page", "screen"]}
_BOUGHT = {"source": "orders"}

STANDARD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "orders": ("Orders", "订单数", {**_BOUGHT, "function": "count"}),
    "gmv": ("Order value", "成交总额", {**_BOUGHT, "function": "sum", "property": "amount", "money": True}),
    "aov": ("Average order value", "客单价", {**_BOUGHT, "function": "average", "property": "amount", "money": True}),
    "last_order_at": ("Last order", "最近下单时间", {**_BOUGHT, "function": "last"}),
    "mean_days_between_orders": (
        "Mean days between orders", "平均下单间隔(天)", {**_BOUGHT, "function": "mean_interval"},
    ),
    "favourite_category": (
        "Favourite category", "偏好品类",
        {**_ORDERED, "function": "most_frequent", "property": "products[].category", "sensitivity": "public"},
    ),
    "favourite_hour": (
        "Favourite hour", "偏好下单时段", {**_BOUGHT, "function": "most_frequent", "property": "$hour"},
    ),
    "channel_mix": ("Orders by channel", "渠道构成", {**_BOUGHT, "function": "breakdown", "property": "$source"}),
    "discount_share": (
        "Share of orders at a discount", "折扣订单占比",
        {**_BOUGHT, "function": "share", "having": [{"gt": 0, "property": "discount"}]},
    ),
    "return_rate": (
        "Share of orders refunded", "退货率",
        {**_BOUGHT, "function": "share", "having": [{"gt": 0, "property": "refunded"}]},
    ),
    "sessions": ("Sessions", "访问次数", {**_VISITS, "function": "sessions"}),
    "dwell_minutes": ("Minutes on the site", "停留时长(分钟)", {**_VISITS, "function": "dwell"}),
}  # fmt: skip

# Where nothing has happened yet there is nothing to count: they are served at once.
SEED_FEED = """
    INSERT INTO computed_feed (digest, spec, ready)
    VALUES (:digest, CAST(:feed AS jsonb), NOT EXISTS (SELECT FROM event)) ON CONFLICT (digest) DO NOTHING"""
SEED = """
    INSERT INTO computed_trait (key, labels, version, state, spec, feed, served, served_feed, pending)
    SELECT :key, CAST(:labels AS jsonb), 1, CASE WHEN quiet THEN 'ready' ELSE 'building' END, CAST(:spec AS jsonb),
           f.id, CASE WHEN quiet THEN CAST(:spec AS jsonb) END, CASE WHEN quiet THEN f.id END, NOT quiet
    FROM (SELECT NOT EXISTS (SELECT FROM event) AS quiet) AS now
    LEFT JOIN computed_feed AS f ON f.digest = CAST(:digest AS text)
    ON CONFLICT (key) DO NOTHING"""


def seeds() -> list[dict[str, str | None]]:
    """What SEED_FEED (where there is a digest) and SEED take, one for each trait."""
    found: list[dict[str, str | None]] = []
    for key, (en, zh, definition) in STANDARD.items():
        spec = Spec.model_validate(definition)
        feed = feed_of(spec) if spec.source == "events" else None
        found.append(
            {
                "key": key,
                "labels": json.dumps({"en": en, "zh": zh}),
                "spec": json.dumps(spec.document()),
                "feed": json.dumps(feed.document()) if feed else None,
                "digest": feed.digest() if feed else None,
            }
        )
    return found
