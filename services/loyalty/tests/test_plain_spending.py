"""Spending in one statement: the same answer and facts as the long way's, or nothing at all."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import AccountsChanged, PointsSpent
from perennial.common.db import Database
from perennial.common.db.locks import lock_key
from perennial.common.ids import uuid7
from perennial.common.web.app import create_app, no_lifespan
from perennial.common.web.idempotency import Once
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.points import plain
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.points.schemas import PostedOut
from perennial.loyalty.tiers import service as tiers

ONCE = Once(b"k" * 32, b"f" * 32)
TRACES = ("posting", "outbox", "idempotency", "stale")


def _posting(via: UUID, points: int = 30, reason: str = 'a "cup" \\ für 3 €') -> Posting:
    return Posting(uuid7(), "spend", via, utc_now(), reason, -points, reference="till 4")


async def _rows(session: Any) -> list[int]:
    return [(await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in TRACES]


async def test_the_answer_and_the_facts_are_whole(shop: Any, database: Database) -> None:
    old, via = uuid7(), uuid7()
    await shop.order(via, 100)
    await shop.order(old, 50)
    await shop.assign(via, old)
    posting = _posting(via)
    answer = await plain.spend(database, ONCE, posting, None)
    assert answer is not None
    assert PostedOut.model_validate_json(answer) == PostedOut(
        posting_id=posting.id, customer_id=via, points=30, currency="points", balance=120, reason=posting.reason,
        reference="till 4",
    )  # fmt: skip
    [spent] = await shop.said(PointsSpent)
    assert PointsSpent.model_validate(spent).model_dump(exclude={"id", "occurred_at"}) == {
        "posting_id": posting.id, "via": via, "customer": via, "points": 30, "reason": posting.reason,
        "reference": "till 4", "currency": "points",
    }  # fmt: skip
    version = await shop.session.execute(text("SELECT version FROM account WHERE via = :via"), {"via": via})
    [said] = AccountsChanged.model_validate((await shop.said(AccountsChanged))[-1]).accounts
    assert (said.via, said.currency, said.balance, said.pending) == (via, "points", 70, 0)
    assert said.version == version.scalar_one()
    told = await shop.session.execute(
        text("SELECT event_id, subject, headers, body FROM outbox ORDER BY id DESC LIMIT 2")
    )
    for row in told:
        assert (row.headers["ce-id"], row.headers["ce-type"]) == (str(row.event_id), row.subject)
        assert json.loads(row.body)["id"] == str(row.event_id)
    kept = (await shop.session.execute(text("SELECT id, fingerprint, status, body FROM idempotency"))).one()
    assert tuple(kept) == (ONCE.id, ONCE.fingerprint, 201, answer)


@pytest.mark.parametrize("way", ["insufficient", "unknown", "kept", "currency", "expired", "programme", "old"])
async def test_what_is_not_plain_does_nothing(shop: Any, database: Database, way: str) -> None:
    via, once, code = uuid7(), ONCE, None
    await shop.order(via, 100)
    posting = _posting(uuid7() if way == "unknown" else via, 101 if way == "insufficient" else 30)
    if way == "kept":
        assert await plain.spend(database, once, _posting(via), code) is not None
    elif way == "currency":
        code = "gems"
    elif way == "expired":
        await shop.session.execute(text("UPDATE lot SET expires_at = now() - interval '1 hour'"))
    elif way == "programme":
        await shop.programme(utc_now(), currencies=[{"code": "stars"}, {"code": "points"}])
    elif way == "old":
        other = uuid7()
        await shop.order(other, 100)
        await shop.assign(other, via)
    before = await _rows(shop.session)
    assert await plain.spend(database, once, posting, code) is None
    assert await _rows(shop.session) == before


BODY = {"points": 30, "reason": 'a "cup" \\ für 3 €', "reference": "till 4"}


@pytest.fixture
def long(service: Any, settings: Any, runtime: Any) -> httpx.AsyncClient:
    """The same service without its shorter ways."""
    made = create_app(replace(service, plain=()), settings, no_lifespan)
    made.state.runtime = runtime
    return httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://service")


async def test_both_ways_answer_alike(
    shop: Any, client: httpx.AsyncClient, long: httpx.AsyncClient, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    via, other = uuid7(), uuid7()
    await shop.order(via, 100)
    await shop.order(other, 50)
    await shop.assign(via, other)
    path = f"/v1/loyalty/accounts/{via}/spend"
    headers = {"Authorization": f"Bearer {token('loyalty:write')}"}
    with monkeypatch.context() as patched:
        patched.setattr(Once, "run", None)  # the framework's route is not asked
        plainly = await client.post(path, json=BODY, headers=headers | {"Idempotency-Key": "k1"})
    slowly = await long.post(path, json=BODY, headers=headers | {"Idempotency-Key": "k2"})
    assert (plainly.status_code, slowly.status_code) == (201, 201)
    assert [*plainly.headers] == [*slowly.headers]
    assert [*plainly.json()] == [*slowly.json()]
    own = {"posting_id", "balance"}
    assert {**plainly.json(), **dict.fromkeys(own)} == {**slowly.json(), **dict.fromkeys(own)}
    assert (plainly.json()["balance"], slowly.json()["balance"]) == (120, 90)
    again = await long.post(path, json=BODY, headers=headers | {"Idempotency-Key": '"k1"'})
    assert (again.content, again.headers["Idempotent-Replayed"]) == (plainly.content, "true")
    once_more = await client.post(path, json=BODY, headers=headers | {"Idempotency-Key": "k2"})
    assert (once_more.content, once_more.headers["Idempotent-Replayed"]) == (slowly.content, "true")
    other_body = await client.post(path, json=BODY | {"points": 31}, headers=headers | {"Idempotency-Key": "k1"})
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")


ODD: list[tuple[dict[str, str], bytes, str, int]] = [
    ({"Idempotency-Key": ""}, b"", "", 400),
    ({"Idempotency-Key": "ключ".encode().decode("latin-1")}, b"", "", 201),
    ({"Idempotency-Key": '"quoted"'}, b"", "", 201),
    ({"Authorization": "Bearer nonsense"}, b"", "", 401),
    ({"Authorization": "Basic abc"}, b"", "", 401),
    ({"scope": "loyalty:read"}, b"", "", 403),
    ({"Content-Type": "application/json; charset=utf-8"}, b"", "", 201),
    ({"Content-Type": "text/plain"}, b"", "", 415),
    ({"Content-Encoding": "gzip"}, b"", "", 415),
    ({}, b'{"points": 30, "reason": "', "", 400),
    ({}, b"[" * 5000, "", 400),
    ({}, b'{"points": 30, "reason": "\\u0000"}', "", 422),
    ({}, b'{"points": NaN, "reason": "x"}', "", 422),
    ({}, b'{"points": 1e400, "reason": "x"}', "", 422),
    ({}, b'{"points": "30", "reason": "x"}', "", 422),
    ({}, b'{"points": 30, "reason": "x", "more": 1}', "", 422),
    ({}, b"7", "", 422),
    ({}, b"", "?n=1&n=2", 422),
    ({}, b"", "?n=1", 201),
]


@pytest.mark.parametrize("number", range(len(ODD)))
async def test_what_is_odd_is_answered_by_the_framework(
    shop: Any, client: httpx.AsyncClient, long: httpx.AsyncClient, token: Any, number: int
) -> None:
    more, sent, query, status = ODD[number]
    via = uuid7()
    await shop.order(via, 100)
    headers = {
        "Authorization": f"Bearer {token(more.get('scope', '*'))}", "Idempotency-Key": "k", "X-Request-ID": "r",
        "Content-Type": "application/json", **more,
    }  # fmt: skip
    path = f"/v1/loyalty/accounts/{str(via).upper() if number % 2 else via}/spend{query}"
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = sent or json.dumps(BODY).encode()
    found = [await each.post(path, content=content, headers=encoded) for each in (client, long)]
    assert [each.status_code for each in found] == [status, status]
    if status == 201:
        assert (found[1].content, found[1].headers["Idempotent-Replayed"]) == (found[0].content, "true")
    else:
        assert found[0].content == found[1].content


async def test_what_was_spent_concerns_no_tier(shop: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    via = uuid7()
    await shop.order(via, 600)
    await shop.derive()
    assert await plain.spend(database, ONCE, _posting(via), None) is not None
    with monkeypatch.context() as patched:
        patched.setattr(tiers, "refresh", None)
        await shop.derive()
    used = await shop.session.execute(text("SELECT sum(points) FROM lot_use"))
    assert used.scalar_one() == 30
    assert (await shop.account(via)).tier.name == "silver"
    later = Once(b"l" * 32, b"f" * 32)
    assert await plain.spend(database, later, _posting(via), None) is not None
    await shop.order(via, 1000)  # both at once: whoever is marked for anything is derived whole
    await shop.derive()
    assert (await shop.account(via)).tier.name == "gold"


async def test_a_key_that_another_holds_is_in_flight(
    committing: Any, committed: Database, app: Any, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    async with committing() as shop:
        await shop.order(via, 100)
    app.state.runtime.database = committed
    headers = {"Idempotency-Key": "k1"}
    path, body = f"/v1/loyalty/accounts/{via}/spend", {"points": 30, "reason": "coffee"}
    first = await client.post(path, json=body, headers=headers)
    async with committed.write() as session:
        key = (await session.execute(text("DELETE FROM idempotency RETURNING id"))).scalar_one()
    async with committed.write() as session:  # the long way, elsewhere
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("idempotency", bytes(key).hex())}
        )
        meanwhile = await client.post(path, json=body, headers=headers)
    assert (first.status_code, meanwhile.status_code, meanwhile.json()["code"]) == (201, 409, "in_flight")
    async with committing() as shop:
        assert await shop.balance(via) == 70
        await shop.derive()
    await verify(committed)
