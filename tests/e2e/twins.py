"""Customers who live the same days, and what every service shows of them."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from tests.e2e.shop import Shop, stamp, until


class Pair(NamedTuple):
    """Two customers: a user, and a visitor with an e-mail address."""

    user: str
    visitor: str

    def sides(self) -> list[dict[str, str]]:
        return [{"userId": self.user}, {"anonymousId": self.visitor}]

    def ids(self, shop: Shop) -> list[str]:
        return [shop.known(self.user), shop.known(self.visitor, "anonymous_id")]


@dataclass
class Happened:
    """What was sent of one side of each pair."""

    events: int = 0
    orders: int = 0
    worth: int = 0

    def seen(self, view: dict[str, Any]) -> bool:
        """Whether all of it has arrived everywhere."""
        return (self.events, self.orders, self.orders, self.worth) == (
            len(view["timeline"]), view["orders"]["count"], view["rfm"]["frequency"], view["account"]["earned"],
        )  # fmt: skip


class Days:
    """What happens to two pairs alike, at the same instants."""

    def __init__(self, shop: Shop, *pairs: Pair) -> None:
        self.shop = shop
        self.pairs = pairs
        self._numbers = random.Random(shop.mark)
        self._day = 0
        self.happened = [Happened(), Happened()]

    def both(self, side: int, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The same event of one side of every pair."""
        at = stamp(datetime.now(UTC))
        self.happened[side].events += 1
        return [self.shop.event(kind, None, timestamp=at, **pair.sides()[side], **fields) for pair in self.pairs]

    def order(self, side: int, amount: int) -> list[dict[str, Any]]:
        made = self.both(side, "track", event="Order Completed")
        self.happened[side].orders += 1
        self.happened[side].worth += amount
        for event in made:
            event["properties"] = {"order_id": event["messageId"], "revenue": str(amount), "currency": "USD"}
        return made

    def begin(self) -> None:
        """All that does not commute with being merged comes before it: who joins which journey, and tickets."""
        for side, name in enumerate(("mia", "max")):
            self.shop.deliver(
                [
                    *self.both(side, "identify", traits={"firstName": name, "plan": "free"}),
                    *self.both(side, "track", event="Joined"),
                    *self.order(side, 100),
                ]
            )
        for pair in self.pairs:
            for side, customer in enumerate(pair.ids(self.shop)):
                body = {"customer_id": customer, "type": "question", "subject": f"Side {side}", "description": "Why?"}
                until(lambda: self._posted("/v1/tickets", body), what="a ticket")  # noqa: B023 (called at once)
                until(lambda: self._balance(customer) == 100, what="points to spend")  # noqa: B023

    def go_on(self) -> None:
        """Another day: views, an order now and then, a change of mind."""
        self._day += 1
        for side in (0, 1):
            events = self.both(side, "track", event="Product Viewed", properties={"product_id": str(self._day)})
            if self._numbers.random() < 0.6:
                events += self.order(side, self._numbers.randrange(1, 50))
            if self._numbers.random() < 0.3:
                events += self.both(side, "identify", traits={"plan": self._numbers.choice(["free", "pro"])})
            self.shop.deliver(events)

    def spend(self, points: int) -> None:
        """The users spend what is their own, whoever they are merged with."""
        for pair in self.pairs:
            body = {"points": points, "reason": "mug"}
            until(lambda: self._posted(f"/v1/loyalty/accounts/{self.shop.known(pair.user)}/spend", body))  # noqa: B023

    def _posted(self, path: str, body: dict[str, Any]) -> bool:
        key = uuid4().hex
        answer = self.shop.http.post(path, json=body, headers={**self.shop.headers, "Idempotency-Key": key})
        return answer.status_code == 201

    def _balance(self, customer: str) -> int:
        account = self.shop.try_get(f"/v1/loyalty/accounts/{customer}")
        return int(account["balance"]) if account else 0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """The days pass while other things happen."""
        over = threading.Event()

        def days() -> None:
            while not over.is_set():
                self.go_on()
                time.sleep(0.05)

        passing = threading.Thread(target=days)
        passing.start()
        try:
            yield
        finally:
            over.set()
            passing.join()


class View:
    """What every service shows of a customer, without names and ids."""

    def __init__(self, shop: Shop, segment: str, journey: str) -> None:
        self._shop = shop
        self._segment = segment
        self._journey = journey

    def __call__(self, customer: str) -> dict[str, Any]:
        shop = self._shop
        shown = shop.get(f"/v1/customers/{customer}")
        account = shop.get(f"/v1/loyalty/accounts/{customer}")
        ledger = shop.items(f"/v1/loyalty/accounts/{customer}/ledger")
        standing = shop.get(f"/v1/rfm/customers/{customer}")
        members = {item["customer_id"] for item in shop.items(f"/v1/segments/{self._segment}/members")}
        walks = shop.items(f"/v1/journeys/{self._journey}/enrolments", customer_id=customer)
        tickets = shop.items("/v1/tickets", customer_id=customer)
        events = shop.items(f"/v1/customers/{customer}/events")
        return {
            "traits": shown["traits"],
            "trait_times": {name: detail["at"] for name, detail in shown["trait_details"].items()},
            "orders": shown["orders"],
            "counters": shown["counters"],
            "seen": (shown["first_seen"], shown["last_seen"]),
            "segments": sorted(item["name"] for item in shown["segments"]),
            "known_points": (shown["loyalty"]["balance"], shown["loyalty"]["pending"], shown["loyalty"]["tier"]),
            "open": shown["tickets"],
            "sent": shown["messages"],
            "timeline": sorted((event["timestamp"], event["name"] or event["type"]) for event in events),
            "account": {name: account[name] for name in account if name not in {"customer_id", "tier"}},
            "tier": (account["tier"]["name"], account["tier"]["to_next"]),
            "ledger": sorted((line["kind"], line["points"], line["pending"]) for line in ledger),
            "member": shown["id"] in members,
            "rfm": {name: standing[name] for name in ("last_order_at", "frequency", "monetary")},
            "walks": sorted((walk["state"], walk["step"]) for walk in walks),
            "tickets": sorted((ticket["subject"], ticket["stage"]) for ticket in tickets),
        }


def segment(shop: Shop, often: int) -> str:
    """Who has bought often: so many times."""
    rule = {"event": "Order Completed", "count": {"gte": often}}
    made = shop.post("/v1/segments", {"name": f"often {shop.mark}", "rule": rule})["id"]
    until(lambda: shop.get(f"/v1/segments/{made}")["state"] == "live")
    return str(made)


def journey(shop: Shop) -> str:
    """A welcome for who joined, and a long wait."""
    steps = [
        {"id": "hello", "kind": "message", "channel": "sandbox", "subject": "Hello", "body": "Welcome."},
        {"id": "rest", "kind": "wait", "for": "PT2H"},
    ]
    definition = {"trigger": {"event": "Joined"}, "steps": steps}
    made = shop.post("/v1/journeys", {"name": f"welcome {shop.mark}", "definition": definition})
    shop.post(f"/v1/journeys/{made['id']}/publish")
    return str(made["id"])
