"""A shop that talks to the platform over HTTP, as any shop would: it sends, sends again, and reads back."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

import httpx

T = TypeVar("T")
PATIENCE = 60.0


def until(check: Callable[[], T | None], seconds: float = PATIENCE, what: str = "") -> T:
    """The first true answer of `check`; an AssertionError with the last one when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or check}; last: {found!r}"
        time.sleep(0.1)


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Shop:
    """A client with a write key for events and an API key for all else. Names are its own, so stories do not mix."""

    def __init__(self, url: str, write_key: str, api_key: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self.write_key = write_key
        self.headers = {"Authorization": f"Bearer {api_key}"}
        self.mark = uuid4().hex[:8]
        self._numbers = itertools.count(1)

    def user(self, name: object) -> str:
        """A user id of this shop alone."""
        return f"{self.mark}-{name}"

    def event(self, kind: str, user: str | None, **fields: Any) -> dict[str, Any]:
        """A tracking event with a message id of its own."""
        made = {"type": kind, "messageId": f"{self.mark}-m{next(self._numbers)}", **fields}
        if user is not None:
            made["userId"] = user
        return made

    def order(self, user: str, total: str, **fields: Any) -> dict[str, Any]:
        """An Order Completed; `properties` may be overridden."""
        properties = {"order_id": f"{self.mark}-o{next(self._numbers)}", "revenue": total, "currency": "USD"}
        properties |= fields.pop("properties", {})
        return self.event("track", user, event="Order Completed", properties=properties, **fields)

    def send(self, events: Sequence[dict[str, Any]], *, importing: bool = False) -> httpx.Response:
        """One batch, once."""
        body: dict[str, Any] = {"batch": list(events)}
        if importing:
            body["context"] = {"import": True}
        else:
            body["sentAt"] = stamp(datetime.now(UTC))
        return self.http.post("/v1/batch", json=body, auth=(self.write_key, ""))

    def deliver(self, events: Sequence[dict[str, Any]], *, importing: bool = False, seconds: float = 90) -> int:
        """One batch as an SDK sends it: again after a time-out, a refused connection or a 5xx. How often it took."""
        deadline = time.monotonic() + seconds
        for attempt in itertools.count(1):
            try:
                answer = self.send(events, importing=importing)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                assert answer.json()["accepted"] == len(events), answer.text
                return attempt
            assert answer is None or answer.status_code in {429, 502, 503, 504}, answer.text
            assert time.monotonic() < deadline, "the batch was never accepted"
            time.sleep(0.3)
        raise AssertionError

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.http.get(path, params=params, headers=self.headers)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def try_get(self, path: str, **params: Any) -> Any | None:
        """The JSON of a GET, or None when there is nothing (yet) or a part is away."""
        try:
            answer = self.http.get(path, params=params, headers=self.headers)
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def post(self, path: str, body: Any = None, *, key: str | None = None, expect: int | None = None) -> Any:
        """The JSON of a POST that must succeed."""
        headers = {**self.headers, **({"Idempotency-Key": key} if key else {})}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code == expect if expect else answer.is_success, f"{path}: {answer.text}"
        return answer.json() if answer.content else None

    def items(self, path: str, **params: Any) -> list[Any]:
        """Every item of a list, page by page."""
        found: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, limit=200, **params, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def customer(self, user: str, kind: str = "user_id") -> str | None:
        """The customer behind an identifier, once it is known."""
        found = self.try_get("/v1/customers", identifier=f"{kind}:{user}")
        return found["items"][0]["id"] if found and found["items"] else None

    def known(self, user: str, kind: str = "user_id") -> str:
        """The customer behind an identifier; waits for it."""
        return until(lambda: self.customer(user, kind), what=f"customer {user}")

    def profile(self, user: str) -> dict[str, Any]:
        """The 360 of a user."""
        shown: dict[str, Any] = self.get(f"/v1/customers/{self.known(user)}")
        return shown

    def orders_of(self, user: str) -> tuple[int, Decimal]:
        """How many orders a user is shown with, and their sum."""
        customer = self.customer(user)
        shown = self.try_get(f"/v1/customers/{customer}") if customer else None
        return (shown["orders"]["count"], Decimal(shown["orders"]["gmv"])) if shown else (0, Decimal(0))

    def points_of(self, user: str) -> int:
        """A user's balance at the bank itself."""
        customer = self.customer(user)
        account = self.try_get(f"/v1/loyalty/accounts/{customer}") if customer else None
        return int(account["balance"]) if account else 0


def in_the_past(days: float) -> str:
    """An instant so many days ago."""
    return stamp(datetime.now(UTC) - timedelta(days=days))


def totals(orders: Iterable[dict[str, Any]]) -> dict[str, tuple[int, Decimal, int]]:
    """What each user must be shown with: orders, sum, points (one for each whole unit of each order)."""
    found: dict[str, tuple[int, Decimal, int]] = {}
    for order in orders:
        count, money, points = found.get(order["userId"], (0, Decimal(0), 0))
        worth = Decimal(order["properties"]["revenue"])
        found[order["userId"]] = (count + 1, money + worth, points + int(worth))
    return found
