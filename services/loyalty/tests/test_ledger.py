"""The books: double entry, append-only, and a proof that finds whatever is wrong with them."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.jobs import jobs_of, run_once
from perennial.common.runtime import Runtime
from perennial.loyalty.ledger.service import LedgerBroken, prove, verify


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET points = 0",
        "DELETE FROM posting",
        "UPDATE entry SET points = 0",
        "DELETE FROM entry",
        "TRUNCATE entry",
        "DELETE FROM programme",
    ],
)
async def test_what_was_posted_cannot_be_changed(session: Any, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with session.begin_nested():
            await session.execute(text(statement))


async def test_one_leg_alone_is_refused(session: Any) -> None:
    leg = text("INSERT INTO entry (posting_id, account, via, points) VALUES (:id, 'customer', :id, 5)")
    with pytest.raises(DBAPIError, match="do not sum to zero"):
        async with session.begin_nested():
            await session.execute(leg, {"id": uuid7()})


async def _scene(shop: Any, client: httpx.AsyncClient) -> UUID:
    via = uuid7()
    await shop.order(via, 100, "A")
    await shop.order(via, 50)
    await shop.refund("A", via=via, properties={"revenue": 10})
    body = {"points": 120, "reason": "coat"}
    await client.post(f"/v1/loyalty/accounts/{via}/spend", json=body, headers={"Idempotency-Key": "1"})
    await shop.derive()
    return via


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("UPDATE account SET balance = balance + 1", "an account is the sum of its entries: via={via}"),
        ("DELETE FROM account", "an account is the sum of its entries: via={via}"),
        ("UPDATE lot SET points = points + 7", "a lot is the sum of its entries: lot_id="),
        ("UPDATE lot SET state = 'pending'", "a lot is the sum of its entries: lot_id="),
        (
            "UPDATE purchase SET earned = jsonb_set(earned, '{points}', '7')",
            "an order has what its lots have: purchase_id=",
        ),
        ("UPDATE lot_use SET points = 1000", "no lot is used beyond what stands of it: lot_id="),
        ("UPDATE lot_use SET points = 1000", "no spending is covered beyond its points: posting_id="),
        ("DELETE FROM lot_use", "lots less uses, less what is owed, are the balance: customer={via}"),
        (
            "INSERT INTO lot_use (posting_id, lot_id, points) SELECT gen_random_uuid(), id, 1 FROM lot",
            "a spending uses lots of its own customer: posting_id=",
        ),
        (
            "INSERT INTO posting SELECT gen_random_uuid(), kind, via, at, now(), 5, 0, 'conjured' FROM posting LIMIT 1",
            "a posting is what its entries say: posting_id=",
        ),
    ],
)
async def test_the_proof_names_the_rule_and_the_row(
    shop: Any, client: httpx.AsyncClient, fault: str, rule: str
) -> None:
    via = await _scene(shop, client)
    await prove(shop.session)
    nested = await shop.session.begin_nested()
    await shop.session.execute(text(fault))
    with pytest.raises(LedgerBroken) as caught:
        await prove(shop.session)
    assert rule.format(via=via) in str(caught.value)
    await nested.rollback()


async def test_customers_about_to_be_settled_are_no_fault(shop: Any, client: httpx.AsyncClient) -> None:
    via = await _scene(shop, client)
    nested = await shop.session.begin_nested()
    await shop.session.execute(text("DELETE FROM lot_use"))
    await shop.session.execute(text("INSERT INTO stale (customer_id, live) VALUES (:id, false)"), {"id": via})
    await prove(shop.session)
    await nested.rollback()


async def test_the_job_reads_one_snapshot_and_fails_aloud(
    committing: Any, committed: Database, service: Any, settings: Any, database_urls: Any
) -> None:
    runtime = Runtime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    job = next(job for job in jobs_of(runtime) if job.name == "verify-ledger")
    async with committing() as shop:
        await shop.order(uuid7(), 100)
        await shop.derive()
    assert await run_once(runtime, job)
    await verify(committed)
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("ALTER TABLE entry DISABLE TRIGGER entries_balance")
    await owner.execute("UPDATE entry SET points = 99 WHERE account = 'customer'")
    await owner.execute("ALTER TABLE entry ENABLE TRIGGER entries_balance")
    await owner.close()
    with pytest.raises(LedgerBroken, match="the entries of a posting sum to zero: posting_id="):
        await run_once(runtime, job)
