"""What every service derives of a customer follows a merge and its undo, soon: the aim is two seconds."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.shop import Shop, until
from tests.e2e.twins import journey, segment

AIM, BOUND = 2.0, 10.0  # seconds; the bound is for a machine that does other things too
ROUNDS = 3
TIER_FROM = 500

Look = Callable[[str], Any]


@pytest.fixture
def looks(shop: Shop) -> dict[str, Look]:
    """What each service answers about a customer: one number, name or truth that a merge changes."""
    often = segment(shop, 2)
    walk = journey(shop)

    def get(path: str, *members: str) -> Look:
        def look(customer: str) -> Any:
            shown = shop.try_get(path.format(customer))
            for member in members:
                shown = shown and shown[member]
            return shown

        return look

    def inside(customer: str) -> bool:
        today = shop.get(f"/v1/customers/{customer}")["id"]
        return any(item["customer_id"] == today for item in shop.items(f"/v1/segments/{often}/members"))

    return {
        "360: orders": get("/v1/customers/{}", "orders", "count"),
        "360: open tickets": get("/v1/customers/{}", "tickets", "open"),
        "360: points": get("/v1/customers/{}", "loyalty", "balance"),
        "membership": inside,
        "points": get("/v1/loyalty/accounts/{}", "balance"),
        "tier": get("/v1/loyalty/accounts/{}", "tier", "name"),
        "enrolments": lambda customer: len(shop.items(f"/v1/journeys/{walk}/enrolments", customer_id=customer)),
        "open tickets": lambda customer: len(shop.items("/v1/tickets", customer_id=customer)),
        "RFM: orders": get("/v1/rfm/customers/{}", "frequency"),
        "RFM: money": get("/v1/rfm/customers/{}", "monetary"),
    }


def test_every_service_follows_a_merge_and_its_undo_within_seconds(shop: Shop, looks: dict[str, Look]) -> None:
    one, other = people(shop)
    apart = {
        customer: until(lambda: settled(looks, customer), what=f"{customer} settled")  # noqa: B023 (called at once)
        for customer in (one, other)
    }
    assert {state["membership"] for state in apart.values()} == {False}
    together = dict.fromkeys((one, other), summed(*apart.values()))
    assert together[one]["tier"] != apart[one]["tier"]
    took: dict[str, list[float]] = {name: [] for name in looks}
    with traffic(shop):
        for _ in range(ROUNDS):
            body = {"customer_ids": [one, other], "reason": "the same"}
            merge = shop.post("/v1/merges", body, key=uuid4().hex)
            follow(looks, together, took)
            shop.post(f"/v1/merges/{merge['id']}/undo", {"reason": "two"})
            follow(looks, apart, took)
    for name, seconds in took.items():
        print(f"{name:<20} {statistics.median(seconds):5.2f} s, at most {max(seconds):5.2f} s")  # noqa: T201 (with -s)
    late = {name for name, seconds in took.items() if statistics.median(seconds) > AIM}
    print(f"later than {AIM} s: {', '.join(sorted(late)) or 'nothing'}")  # noqa: T201


def people(shop: Shop) -> tuple[str, str]:
    """Two customers with an order, a ticket and a walk each, who together have bought often and reach a tier."""
    user, visitor = shop.user("follow"), shop.user("visitor")
    for number, said in enumerate(({"userId": user}, {"anonymousId": visitor})):
        order = {"order_id": f"{shop.mark}-{number}", "revenue": str(TIER_FROM * 3 // 5), "currency": "USD"}
        shop.deliver(
            [
                shop.event("track", None, event="Joined", **said),
                shop.event("track", None, event="Order Completed", properties=order, **said),
            ]
        )
    customers = shop.known(user), shop.known(visitor, "anonymous_id")
    for customer in customers:
        body = {"customer_id": customer, "type": "question", "subject": "Hello", "description": "A question"}

        def asked() -> bool:
            headers = {**shop.headers, "Idempotency-Key": uuid4().hex}
            return shop.http.post("/v1/tickets", json=body, headers=headers).status_code == 201  # noqa: B023

        until(asked, what="a ticket")
    return customers


def settled(looks: dict[str, Look], customer: str) -> dict[str, Any] | None:
    """What every service says of somebody who has ordered once, once all of them know it."""
    state = {name: look(customer) for name, look in looks.items()}
    counts = ("360: orders", "360: open tickets", "enrolments", "open tickets", "RFM: orders")
    known = all(state[name] == 1 for name in counts) and state["360: points"] == state["points"] == TIER_FROM * 3 // 5
    return state if known else None


def summed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What they are together: counts add up, and they are inside where neither was."""
    found = {name: one[name] + other[name] for name in one if isinstance(one[name], int)}
    money = f"{float(one['RFM: money']) + float(other['RFM: money']):.2f}"
    return {**found, "membership": True, "tier": "silver", "RFM: money": money}


def follow(looks: dict[str, Look], wanted: dict[str, dict[str, Any]], took: dict[str, list[float]]) -> None:
    """Note how long each service took to show both customers as they are now."""
    started = time.monotonic()
    waiting = dict(looks)
    while waiting:
        for name, look in list(waiting.items()):
            if all(look(customer) == state[name] for customer, state in wanted.items()):
                took[name].append(time.monotonic() - started)
                del waiting[name]
        assert time.monotonic() - started < BOUND or not waiting, {
            name: [(look(customer), state[name]) for customer, state in wanted.items()]
            for name, look in waiting.items()
        }


@contextmanager
def traffic(shop: Shop) -> Iterator[None]:
    """Some twenty events a second, of passers-by and of those who are merged."""
    over = threading.Event()
    talker = Shop(str(shop.http.base_url), shop.write_key, "")

    def talk() -> None:
        number = 0
        while not over.wait(0.2):
            number += 1
            talker.deliver(
                [
                    talker.event("track", shop.user("follow"), event="Product Viewed"),
                    talker.event("track", None, anonymousId=shop.user("visitor"), event="Product Viewed"),
                    *(talker.event("track", talker.user(number), event="Product Viewed") for _ in range(2)),
                ]
            )

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        yield
    finally:
        over.set()
        talking.join()
        talker.http.close()
