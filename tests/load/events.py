"""Events as shops send them, about 550 bytes each, in ready HTTP requests."""

import base64
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CUSTOMERS = 5_000


@dataclass(frozen=True)
class Batch:
    """One request: the events, and the bytes on the wire."""

    events: list[dict[str, Any]]
    request: bytes


def batches(mark: str, count: int, size: int, write_key: str) -> list[Batch]:
    """`count` events in batches of `size`; the same mark gives the same events."""
    chance = random.Random(mark)
    events = [event(mark, number, chance) for number in range(count)]
    return [batch(events[start : start + size], write_key) for start in range(0, count, size)]


def event(mark: str, number: int, chance: random.Random) -> dict[str, Any]:
    """Seven views, two orders, one identify in ten."""
    user, now = f"customer-{chance.randrange(CUSTOMERS)}", datetime.now(UTC).isoformat()
    made: dict[str, Any] = {
        "messageId": f"{mark}-{number}",
        "userId": user,
        "timestamp": now,
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}, "locale": "en-US", "ip": "192.0.2.7"},
    }
    kind = number % 10
    if kind == 0:
        traits = {"firstName": "Some", "lastName": "Body", "plan": chance.choice(["free", "pro"]), "city": "Basel"}
        return {**made, "type": "identify", "traits": {**traits, "age": chance.randrange(18, 90)}}
    product = {"product_id": str(chance.randrange(1000)), "name": "A product", "price": "12.50", "category": "Grocery"}
    if kind in {1, 2}:
        properties = {
            "order_id": f"{mark}-{number}",
            "revenue": f"{chance.randrange(100, 20000) / 100:.2f}",
            "currency": "USD",
            "products": [{**product, "quantity": 1}, {**product, "quantity": 2}],
        }
        return {**made, "type": "track", "event": "Order Completed", "properties": properties}
    properties = {**product, "url": "https://shop.example/products/" + "x" * 120}
    return {**made, "type": "track", "event": "Product Viewed", "properties": properties}


def batch(events: list[dict[str, Any]], write_key: str) -> Batch:
    """An HTTP request as an SDK makes it."""
    return Batch(events, _request("/v1/batch", {"batch": events, "sentAt": datetime.now(UTC).isoformat()}, write_key))


def single(mark: str, write_key: str) -> bytes:
    """A request of one event, as browsers send them."""
    made = event(mark, 3, random.Random(mark))
    return _request("/v1/track", {**made, "sentAt": datetime.now(UTC).isoformat()}, write_key)


def _request(path: str, content: dict[str, Any], write_key: str) -> bytes:
    body = json.dumps(content).encode()
    credentials = base64.b64encode(f"{write_key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
