"""Spending in one statement: the same answer and facts as the long way's, or nothing at all."""

import json
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
from perennial.common.web.idempotency import Once
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.points import plain
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.points.schemas import PostedOut

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
