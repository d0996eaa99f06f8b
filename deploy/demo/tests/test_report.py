import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from perennial.demo import audience, carts, check, report
from perennial.demo.client import Json
from perennial.demo.data import Load
from perennial.demo.dataset import ZONE
from perennial.demo.figures import Shown
from perennial.demo.live import Traffic
from perennial.demo.reference import LiveOrder, Reference, compute
from perennial.demo.state import State

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def expected() -> Reference:
    return compute(3247, 3_000)


@pytest.fixture
def shown(expected: Reference) -> Shown:
    """What a platform says that has everything right."""
    months = [{"month": key, "orders": n, "gmv": str(gmv)} for key, (n, gmv) in expected.months.items()]
    gmv, count = expected.gmv, expected.orders.height
    orders = {"orders": count, "gmv": str(gmv), "aov": str(round(gmv / count, 2)), "currency": "USD", "months": months}
    points = {"earned": expected.points, "spent": 500, "reversed": 0, "expired": 0, "liability": expected.points - 500}
    homes = expected.households.items()
    return Shown(
        summaries={
            "orders": orders,
            "customers": {"customers": len(homes), "events": 4_000},
            "loyalty": {**points, "tiers": {"silver": 20, "gold": 3}},
            "rfm": {"groups": [{"group": "champions", "customers": 12, "monetary": "99.10"}]},
            "messages": {"sent": 4, "not_sent": {"no_address": 2}},
            "tickets": {"by_state": {"open": 2, "closed": 1}, "open": 2, "breached": 0, "csat": 5.0},
        },
        customers={key: f"customer-{key}" for key, _ in homes},
        rfm={
            key: {
                "last_order_at": home.last_at.isoformat(),
                "recency_days": home.recency(NOW, ZONE),
                "frequency": home.frequency,
                "monetary": str(home.monetary),
            }
            for key, home in homes
        },
        accounts={key: {"earned": home.points} for key, home in homes},
        segments={one.name: {"size": 1} for one in audience.SEGMENTS},
        members={one.name: one.members(expected, NOW) for one in audience.SEGMENTS},
        as_of=NOW,
        zone=ZONE,
    )


@pytest.fixture
def traffic(sample: Load) -> Traffic:
    funnel: Json = {"enrolled": 12, "active": 0, "completed": 6, "exited": {"order": 6}, "steps": []}
    share = {"id": "share", "kind": "split", "entered": 100, "outcomes": {"treated": 80, "control": 20}}
    winback: Json = {"enrolled": 100, "active": 90, "completed": 0, "exited": {"order": 10}, "steps": [share]}
    return Traffic(
        carts=carts.choose(sample.shoppers()),
        stages=["closed", "in_progress", "assigned"],
        lapsed=set(range(100)),
        back=set(range(10)),
        reminders=Counter(sent=4, no_address=2),
        cart_funnel=funnel,
        winback_funnel=winback,
    )


def unequal(checks: list[check.Check]) -> dict[str, list[str]]:
    return {one.name: one.differences for one in checks if not one.equal}


def test_a_platform_that_is_right_passes(expected: Reference, shown: Shown, traffic: Traffic) -> None:
    assert not unequal(check.run(expected, shown, 0))
    assert not unequal(check.live(traffic, shown, 500))


def test_one_cent_and_one_point_are_seen(expected: Reference, shown: Shown) -> None:
    shown.rfm[900]["monetary"] = str(Decimal(shown.rfm[900]["monetary"]) + Decimal("0.01"))
    shown.accounts[900]["earned"] += 1
    found = unequal(check.run(expected, shown, 0))
    assert found.keys() == {"monetary value of every household", "points earned by every household"}
    assert all(text.startswith("household 900: ") for texts in found.values() for text in texts)


def test_an_order_in_the_wrong_month_is_seen(expected: Reference, shown: Shown) -> None:
    month = shown.summaries["orders"]["months"][0]
    month["orders"] -= 1
    assert unequal(check.run(expected, shown, 0)).keys() == {"orders and GMV per local month"}


def test_a_household_too_many_or_too_few_is_seen(expected: Reference, shown: Shown) -> None:
    shown.rfm[99_999] = shown.rfm.pop(900)
    texts = unequal(check.run(expected, shown, 0))["frequency of every household"]
    assert texts == ["household 900: not shown", "household 99999: not expected"]


def test_a_rejected_event_and_a_wrong_member_are_seen(expected: Reference, shown: Shown) -> None:
    shown.members[audience.FAMILIES.name].pop()
    found = unequal(check.run(expected, shown, 1))
    assert found.keys() == {"events rejected by the gateway", f"members of the segment {audience.FAMILIES.name!r}"}


def test_live_orders_count_on_top(expected: Reference) -> None:
    order = LiveOrder(900, "demo-cart-900", NOW - timedelta(hours=1), Decimal("7.99"))
    more = expected.with_orders([order])
    before, after = expected.households[900], more.households[900]
    assert after == replace(
        before,
        frequency=before.frequency + 1,
        monetary=before.monetary + order.amount,
        points=before.points + 7,
        last_at=order.at,
    )
    assert after.recency(NOW, ZONE) == 0
    assert more.months["2026-11"] == (1, order.amount)


def test_recency_counts_local_midnights(expected: Reference) -> None:
    home = replace(expected.households[900], last_at=datetime(2026, 11, 21, 4, 59, tzinfo=UTC))
    assert home.recency(datetime(2026, 11, 21, 5, 1, tzinfo=UTC), ZONE) == 1
    assert home.recency(datetime(2026, 11, 21, 4, 59, 30, tzinfo=UTC), ZONE) == 0


def test_the_report_is_written_and_shown(expected: Reference, shown: Shown, traffic: Traffic, tmp_path: Path) -> None:
    shown.accounts[900]["earned"] += 1
    state = State.open(tmp_path)
    checks = check.run(expected, shown, 0) + check.live(traffic, shown, 500)
    speed = {"events/s accepted": 12_345.6, "visible after ms, p50": 11.0}
    document = report.compose(shown, traffic, speed, {"gateway": 80_000_000}, checks)
    console = Console(width=160, file=StringIO())
    report.show(document, console)
    text = cast("StringIO", console.file).getvalue()
    written = json.loads(report.write(document, state.home).read_text())
    assert written["equal"] is False
    assert written["points"]["liability"] == expected.points - 500
    assert written["orders"]["gmv"] == str(expected.gmv)
    for part in (f"{expected.gmv:,.2f} USD", "12,345.6", "no_address", "champions", "treated 80", "NOT EQUAL"):
        assert part in text
