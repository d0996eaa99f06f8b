"""A person with everything is exported and erased; nothing of them is left anywhere, and nothing brings them back."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, in_the_past, stamp, until

# Copies that age: the receipt says by when they are gone.
AGES = {"outbox", "idempotency"}


class Person:
    """Somebody with a trace in every service."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.user = shop.user("ada")
        self.email = f"ada.{shop.mark}@example.com"
        self.phone = f"+86138{int(shop.mark, 16) % 10**8:08d}"
        self.name = f"Adelheid{shop.mark}"
        self.traces = (self.user, self.email, self.phone[3:], self.name)
        self.events = [
            shop.event(
                "identify", self.user, anonymousId=f"{self.user}-device",
                traits={"email": self.email, "phone": self.phone, "name": self.name, "city": "Suzhou"},
            ),
            *(shop.event("track", self.user, event="Product Viewed", properties={"sku": f"s{n}"}) for n in range(60)),
            shop.order(self.user, "30", properties={"note": f"for {self.name}"}),
            shop.event("track", self.user, event="Consent Given", properties={"purpose": "marketing"}),
            shop.event("track", self.user, event="Product Reviewed", properties={"review_body": f"{self.name}: fine"}),
        ]  # fmt: skip
        for event in self.events:
            event["timestamp"] = stamp(datetime.now(UTC) - timedelta(minutes=5))

    def live(self) -> str:
        """All of it; returns the customer."""
        shop = self.shop
        self._webhook()
        self._journey()
        shop.deliver(self.events)
        customer = shop.known(self.user)
        broken = {**self.events[0], "messageId": f"{self.user}-broken", "type": "nonsense"}
        early = shop.event("track", self.user, event="Early", timestamp=in_the_past(90), properties={"n": self.name})
        shop.send([broken])
        shop.send([early])
        body = {"customer_id": customer, "type": "question", "subject": self.name, "description": f"Call {self.phone}"}
        until(partial(_posted, shop, "/v1/tickets", body), what="a ticket")
        until(lambda: shop.points_of(self.user) == 30, what="points")
        spend = {"points": 10, "reason": f"a gift for {self.name}"}
        until(partial(_posted, shop, f"/v1/loyalty/accounts/{customer}/spend", spend), what="a spending")
        until(lambda: shop.items("/v1/messages", customer_id=customer), what="a message")
        self._files()
        return customer

    def _files(self) -> None:
        """A list that staff had made, and a file that they sent in."""
        shop = self.shop
        made = shop.post("/v1/exports", {"q": self.name}, key=uuid4().hex)
        where = f"/v1/operations/profile/{made['id']}"
        until(lambda: shop.get(where)["state"] == "succeeded", what="a list")
        content = f"id,email,name\n{self.user},{self.email},{self.name}\n".encode()
        headers = {**shop.headers, "Content-Type": "text/csv"}
        params = {"source_id": "development"}
        answer = shop.http.post("/v1/imports", content=content, params=params, headers=headers)
        assert answer.status_code == 201, answer.text

    def _webhook(self) -> None:
        hook = {"url": "http://127.0.0.1:9/hook", "event_types": ["profile.*", "loyalty.*"], "fields": ["*"]}
        self.shop.post("/v1/webhooks", hook, key=uuid4().hex)

    def _journey(self) -> None:
        step = {"id": "hi", "kind": "message", "channel": "sandbox"}
        texts = {"subject": "Hi {{ traits.name }}", "body": "{{ traits.city }}"}
        wanted = {"trigger": {"event": "Order Completed"}, "steps": [step | texts]}
        body = {"name": f"thanks {self.shop.mark}", "definition": wanted}
        journey = self.shop.post("/v1/journeys", body, key=uuid4().hex)
        self.shop.post(f"/v1/journeys/{journey['id']}/publish", key=uuid4().hex)


def _posted(shop: Shop, path: str, body: Any) -> bool:
    answer = shop.http.post(path, json=body, headers={**shop.headers, "Idempotency-Key": uuid4().hex})
    assert answer.status_code not in {400, 403, 422, 500}, answer.text
    return answer.is_success


async def _rows(url: str) -> list[tuple[str, str, str]]:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("""
            SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'""")
        found = []
        for schema, name in tables:
            rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{name}" AS t')
            found += [(str(schema), str(name), str(row[0]).lower()) for row in rows]
        return found
    finally:
        await connection.close()


def left(platform: Platform, traces: tuple[str, ...]) -> set[tuple[str, str, str]]:
    """Where one of the texts stands, in clear or as bytes, in any column of any table of any schema."""
    forms = [(trace, trace.lower(), trace.encode().hex()) for trace in traces]
    return {
        (schema, table, trace)
        for schema, table, row in asyncio.run(_rows(platform.database_url))
        for trace, clear, hexed in forms
        if clear in row or hexed in row
    }


def logged(platform: Platform, traces: tuple[str, ...]) -> Iterator[str]:
    """Lines of log that name somebody."""
    for log in sorted((platform.home.path / "logs").glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if any(trace in line for trace in traces):
                yield f"{log.name}: {line[:400]}"


def books(platform: Platform) -> tuple[int, int, int]:
    """All entries together, what accounts say customers hold, and what entries say of it."""

    async def summed() -> tuple[int, int, int]:
        connection = await asyncpg.connect(platform.database_url)
        try:
            row = await connection.fetchrow("""
                SELECT (SELECT coalesce(sum(points), 0) FROM loyalty.entry),
                       (SELECT coalesce(sum(balance), 0) FROM loyalty.account),
                       (SELECT coalesce(sum(points), 0) FROM loyalty.entry WHERE account = 'customer')""")
            assert row is not None
            return int(row[0]), int(row[1]), int(row[2])
        finally:
            await connection.close()

    return asyncio.run(summed())


@pytest.fixture
def person(shop: Shop) -> Person:
    return Person(shop)


def test_nothing_is_left_of_a_person_and_nothing_brings_them_back(
    platform: Platform, shop: Shop, person: Person
) -> None:
    customer = person.live()
    where = {(schema, table) for schema, table, _ in left(platform, person.traces)}
    schemas = {schema for schema, _ in where}
    assert {"profile", "tickets", "campaigns", "loyalty", "gateway"} <= schemas, where
    before = books(platform)
    _exported(shop, customer, person)

    wanted = {"identifier": f"email:{person.email}", "reason": "customer_request"}
    asked = shop.post("/v1/erasures", wanted, key=uuid4().hex)
    for name in ("loyalty", "tickets", "profile"):
        platform.kill(name)
    for name in ("loyalty", "tickets", "profile"):
        platform.wait_process(name)
    done = until(partial(_done, shop, asked["id"]), what="every receipt")
    assert {row["state"] for row in done["services"]} == {"completed"}
    kept = {(row["service"], table["table"]) for row in done["services"] for table in row["tables"] if table["kept"]}
    assert ("loyalty", "posting") in kept
    gone = {(row["service"], table["table"]): table["erased"] for row in done["services"] for table in row["tables"]}
    assert gone["profile", "operation_file"] >= 1
    assert gone["gateway", "operation_file"] >= 1
    assert all(table["because"] for row in done["services"] for table in row["tables"] if table["kept"])
    assert datetime.fromisoformat(done["clean_at"]) > datetime.now(UTC)

    rest = {(schema, table) for schema, table, _ in left(platform, person.traces) if table not in AGES}
    assert rest == set()
    assert list(logged(platform, person.traces)) == []
    assert books(platform) == before
    assert before[0] == 0
    assert before[1] == before[2]
    assert shop.try_get(f"/v1/customers/{customer}") is None
    assert shop.customer(person.user) is None

    _comes_not_back(platform, shop, person)
    again = shop.event("identify", person.user, traits={"email": person.email, "city": "Wuxi"})
    shop.deliver([again])
    anew = shop.known(person.user)
    assert anew != customer
    shown = shop.get(f"/v1/customers/{anew}")
    assert shown["orders"]["count"] == 0, "she begins anew"


def _done(shop: Shop, erasure: str) -> Any:
    found = shop.try_get(f"/v1/erasures/{erasure}")
    return found if found and found["state"] == "completed" else None


def _exported(shop: Shop, customer: str, person: Person) -> None:
    """The archive has something of every service that holds something, in clear, with the checksums it says."""
    asked = shop.post(f"/v1/customers/{customer}/export", key=uuid4().hex)
    where = f"/v1/operations/gateway/{asked['id']}"
    until(lambda: shop.get(where)["state"] not in {"queued", "running"}, what="the archive")
    assert shop.get(where)["state"] == "succeeded", shop.get(where)
    answer = shop.http.get(f"{where}/files/export.zip", headers=shop.headers)
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        texts = {row["name"]: archive.read(row["name"]) for row in manifest["files"]}
        assert all(hashlib.sha256(texts[row["name"]]).hexdigest() == row["sha256"] for row in manifest["files"])
    holding = {name.partition("/")[0] for name, text in texts.items() if text != b"[]"}
    assert {"identity", "profile", "segments", "campaigns", "loyalty", "tickets", "gateway"} <= holding
    identifiers = {(row["kind"], row["value"]) for row in json.loads(texts["identity/identifier.json"])}
    assert {("email", person.email), ("user_id", person.user), ("phone", person.phone)} <= identifiers
    assert person.name in texts["tickets/ticket.json"].decode()


def _comes_not_back(platform: Platform, shop: Shop, person: Person) -> None:
    """The same events once more, and as an import under other message ids."""
    shop.deliver(person.events)
    renamed = [{**event, "messageId": f"{event['messageId']}-again"} for event in person.events]
    shop.deliver(renamed, importing=True)
    marker = shop.user("marker")
    shop.deliver([shop.event("identify", marker, traits={"plan": "free"})], importing=True)
    shop.known(marker)
    assert shop.customer(person.user) is None
    rest = {(schema, table) for schema, table, _ in left(platform, person.traces) if table not in AGES}
    assert rest == set()
