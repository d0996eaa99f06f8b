"""What the database makes of orders is what Python makes of them one by one, and it takes any number of them."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.profile.computed import bought
from perennial.profile.computed.derive import Served
from perennial.profile.computed.partials import Partial
from perennial.profile.computed.plans import compile_feed
from perennial.profile.computed.queries import Merged
from perennial.profile.computed.spec import Spec, feed_of
from perennial.profile.computed.standard import STANDARD
from perennial.profile.computed.values import evaluate

NOW = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
PARIS = "Europe/Paris"  # its clocks went forward that night
BASE: dict[str, Any] = {"source": "orders"}
SPECS: list[dict[str, Any]] = [
    *(spec for _, _, spec in STANDARD.values() if spec.get("source") == "orders"),
    {"function": "count", "window": "day", "timezone": PARIS},
    {"function": "count", "window": "month", "timezone": "America/Los_Angeles"},
    {"function": "count", "window": "PT30H", "where": [{"property": "currency", "is_not": "EUR"}]},
    {"function": "sum", "property": "net", "money": True, "window": "P400D"},
    {"function": "sum", "property": "items"},
    {"function": "max", "property": "order_id"},
    {"function": "average", "property": "$weekday", "timezone": PARIS},
    {"function": "min", "property": "refunded", "money": True, "where": [{"property": "refunded", "gt": 0.5}]},
    {"function": "last", "property": "$source", "window": "P40D"},
    {"function": "first", "property": "amount", "where": [{"property": "items", "in": [1, 2]}]},
    {"function": "last", "property": "$hour", "timezone": "Asia/Kathmandu"},
    {"function": "most_frequent", "property": "$hour", "timezone": "Asia/Kathmandu"},
    {"function": "breakdown", "property": "$weekday", "timezone": PARIS, "window": "year"},
    {"function": "unique_list", "property": "amount", "limit": 5},
    {"function": "unique_count", "property": "order_id"},
    {"function": "breakdown", "property": "currency", "where": [{"property": "order_id", "contains": "1"}]},
    {"function": "share", "having": [{"property": "items", "gte": 2}, {"property": "$source", "is": "app"}]},
    {"function": "days_since", "where": [{"property": "order_id", "not_in": ["3", "4"]}]},
    {"function": "mean_interval", "window": "P90D"},
]  # fmt: skip
ADD = text("""
    INSERT INTO purchase (source, order_id, via, completed_at, completed_message_id, completed_amount, currency, items,
                          refund_total, refunded_in_full, refunded_at, cancelled_at)
    SELECT source, order_id, CAST(:via AS uuid), at, order_id, amount, currency, items, coalesce(refund, 0), false,
           CASE WHEN refund IS NOT NULL THEN at END, CASE WHEN cancelled THEN at END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (source text, order_id text, at timestamptz, amount numeric,
         currency text, items int, refund numeric, cancelled bool)""")
OWN = text("INSERT INTO identity_map (via, customer_id, version) VALUES (:via, :via, 1)")


def orders(seed: int, number: int) -> list[dict[str, Any]]:
    """Orders around every edge of the windows, no two at the same instant."""
    chance = random.Random(seed)
    edges = [timedelta(0), timedelta(hours=30), timedelta(days=40), timedelta(days=90), timedelta(days=400)]
    edges += [timedelta(hours=13, minutes=30), timedelta(hours=11, minutes=30), timedelta(days=28, hours=4)]
    ages = {chance.choice(edges) + timedelta(microseconds=chance.choice([-1, 0, 1, 10**9 * number])) for _ in "x" * 30}
    ages |= {timedelta(seconds=chance.randrange(-(10**5), 5 * 10**7)) for _ in range(number)}
    return [
        {
            "source": chance.choice(["shop", "app"]), "order_id": str(place), "at": (NOW - age).isoformat(),
            "amount": str(Decimal(chance.randrange(0, 90_000)) / 100), "items": chance.randrange(4),
            "currency": chance.choice([None, "USD", "EUR"]),
            "refund": chance.choice([None, None, "0.00", "7.5", "2000"]), "cancelled": chance.random() < 0.1,
        }
        for place, age in enumerate(sorted(ages))
    ]  # fmt: skip


def one_by_one(found: list[dict[str, Any]], item: Served, settings: Any) -> Mapping[str, Partial]:
    """What the plan of events makes of orders as if they were events."""
    covers = item.window(settings, NOW)
    plan = compile_feed(0, feed_of(item.spec), settings.zone, settings.currency)
    merged: dict[str, Partial] = defaultdict(Partial)
    for row in found:
        at, amount = datetime.fromisoformat(row["at"]), Decimal(row["amount"])
        refunded = min(Decimal(row["refund"] or 0), amount)
        root = {
            "amount": amount, "net": amount - refunded, "refunded": refunded, "items": row["items"],
            "currency": row["currency"] or settings.currency, "order_id": row["order_id"], "$source": row["source"],
        }  # fmt: skip
        counts = covers.leaves is None or covers.since <= at <= covers.until
        if not row["cancelled"] and counts and plan.wants(root, at):
            plan.keep(merged.__getitem__, at, UUID(int=0), root)
    return merged


@pytest.mark.parametrize("seed", range(6))
async def test_the_database_says_what_python_says(session: WriteSession, seed: int) -> None:
    via, settings = uuid5(UUID(int=0), str(seed)), session.info["settings"]
    found = orders(seed, 40)
    await session.execute(OWN, {"via": via})
    await session.execute(ADD, {"via": via, "rows": json.dumps(found)})
    wanted = [Served(str(place), 1, Spec.model_validate(BASE | spec), None) for place, spec in enumerate(SPECS)]
    asked = [(item.spec, item.window(settings, NOW)) for item in wanted]
    got = (await bought.merged(session, asked, [via], settings.zone, settings.currency))[via]
    for item, merged in zip(wanted, got, strict=True):
        naive = evaluate(item.spec, one_by_one(found, item, settings), NOW, settings.currency)
        assert evaluate(item.spec, merged.words, NOW, settings.currency) == naive, item.spec.document()


async def test_a_window_knows_what_leaves_it_and_what_comes(session: WriteSession) -> None:
    via, settings = UUID(int=7), session.info["settings"]
    ages = {"gone": 48, "old": 20, "new": 3, "next": -2, "later": -5}
    rows = [
        {"source": "shop", "order_id": name, "at": (NOW - timedelta(hours=age)).isoformat(), "amount": 1, "items": 1}
        for name, age in ages.items()
    ]
    await session.execute(OWN, {"via": via})
    await session.execute(ADD, {"via": via, "rows": json.dumps(rows)})
    spec = Spec.model_validate({**BASE, "function": "count", "window": "P1D"})
    covers = Served("x", 1, spec, None).window(settings, NOW)
    [merged] = (await bought.merged(session, [(spec, covers)], [via], ZoneInfo("UTC"), "USD"))[via]
    assert (merged.begins, merged.comes) == (NOW - timedelta(hours=20), NOW + timedelta(hours=2))
    assert merged.words[""].n == 2


async def test_a_hundred_thousand_orders_of_one_customer(session: WriteSession) -> None:
    via, settings = UUID(int=8), session.info["settings"]
    await session.execute(OWN, {"via": via})
    many = text("""
        INSERT INTO purchase (source, order_id, via, completed_at, completed_message_id, completed_amount, currency)
        SELECT 'shop', n::text, CAST(:via AS uuid), CAST(:now AS timestamptz) - n * interval '7 minutes', n::text, 1,
               'USD' FROM generate_series(1, 100000) AS n""")
    await session.execute(many, {"via": via, "now": NOW})
    wanted = [Served(str(place), 1, Spec.model_validate(BASE | spec), None) for place, spec in enumerate(SPECS)]
    asked = [(item.spec, item.window(settings, NOW)) for item in wanted]
    before = time.perf_counter()
    got = (await _merged(session, asked, via))[via]
    assert time.perf_counter() - before < 20, "29 definitions; it took half a minute and all the memory row by row"
    assert got[0].words[""].n == 100_000
    listed = got[next(place for place, spec in enumerate(SPECS) if spec["function"] == "unique_count")]
    assert (len(listed.words), sum(partial.n for partial in listed.words.values())) == (1001, 100_000)


async def _merged(session: ReadSession, asked: list[bought.Asked], via: UUID) -> dict[UUID, list[Merged]]:
    settings = session.info["settings"]
    return await bought.merged(session, asked, [via], settings.zone, settings.currency)
