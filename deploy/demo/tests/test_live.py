import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from perennial.demo import carts, winback
from perennial.demo.client import Client, Json
from perennial.demo.data import Load
from perennial.demo.dataset import instant
from perennial.demo.journeys import DEFINITIONS, step
from perennial.demo.reference import money
from perennial.demo.session import Session
from perennial.demo.state import State
from perennial.demo.testing import Server

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def session(client: Client, tmp_path: Path) -> Session:
    return Session(client, State.open(tmp_path, NOW), Console(quiet=True))


def sent(server: Server) -> list[Json]:
    return [json.loads(body) for body in server.bodies if body]


async def test_half_of_the_carts_are_paid_and_a_second_run_sends_the_same(
    session: Session, server: Server, sample: Load
) -> None:
    filled = await carts.fill(session, sample.shoppers())
    first = sent(server)
    server.bodies.clear()
    again = Session(session.client, State.open(session.state.home), session.console)
    assert await carts.fill(again, sample.shoppers()) == filled
    assert sent(server) == first
    added = [event for event in first if event["event"] == "Product Added"]
    paid = [event for event in first if event["event"] == "Order Completed"]
    assert (len(added), len(paid)) == (12, 6)
    assert sum(cart.email for cart in filled) == carts.WITH_EMAIL
    orders = carts.orders(again.state)
    assert [event["properties"]["order_id"] for event in paid] == [order.order_id for order in orders]
    assert [event["properties"]["revenue"] for event in paid] == [float(order.amount) for order in orders]
    assert all(
        datetime.fromisoformat(event["timestamp"]) == order.at for event, order in zip(paid, orders, strict=True)
    )
    assert all("sentAt" not in event for event in first), "the time must stay as it was said"


async def test_a_larger_load_does_not_choose_other_shoppers(session: Session, sample: Load, everything: Load) -> None:
    chosen = session.chosen("carts", carts.choose(sample.shoppers()))
    again = Session(session.client, State.open(session.state.home), session.console)
    assert again.chosen("carts", carts.choose(everything.shoppers())) == chosen


async def test_only_who_was_invited_comes_back_and_the_same_ones_again(
    session: Session, server: Server, sample: Load
) -> None:
    shoppers = sample.shoppers()
    session.customers = {shopper.household: f"customer-{shopper.household}" for shopper in shoppers}
    invited = [shopper for shopper in shoppers if shopper.email][:30]
    messages = [{"customer_id": f"customer-{shopper.household}"} for shopper in invited]
    server.script = [(200, {}, json.dumps({"items": messages, "next_cursor": None}))]
    await winback.come_back(session, "journey", shoppers)
    first = sent(server)
    assert len(first) == winback.RETURNING
    assert {event["userId"] for event in first} <= {f"household-{shopper.household}" for shopper in invited}
    server.bodies.clear()
    again = Session(session.client, State.open(session.state.home), session.console)
    await winback.come_back(again, "journey", shoppers)
    assert sent(server) == first
    assert datetime.fromisoformat(first[0]["timestamp"]) <= datetime.now(UTC)


def test_no_live_orders_before_there_was_live_traffic(session: Session) -> None:
    assert carts.orders(session.state) == winback.orders(session.state) == []


def test_the_control_group_gets_no_message() -> None:
    share = step(DEFINITIONS["Win-back"], "share")
    arms = {arm["name"]: arm for arm in share["arms"]}
    assert sum(arm["percent"] for arm in arms.values()) == 100
    assert arms["control"]["percent"] == 20
    assert step(DEFINITIONS["Win-back"], arms["control"]["next"])["kind"] == "wait"


def test_money_is_exact() -> None:
    assert str(money(459_603_958)) == "4596039.58"
    assert str(money(5)) == "0.05"
    assert instant(datetime(2026, 3, 8, 2, 30)) - instant(datetime(2026, 3, 8, 1, 30)) == timedelta(hours=1)  # noqa: DTZ001
