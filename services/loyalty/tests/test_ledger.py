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
from perennial.common.service import ServiceRuntime
from perennial.loyalty.ledger.service import LedgerBroken, prove, verify


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET points = 0",
        "DELETE FROM posting",
        "TRUNCATE posting",
        "DELETE FROM programme",
    ],
)
async def test_what_was_posted_cannot_be_changed(session: Any, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with session.begin_nested():
            await session.execute(text(statement))


@pytest.mark.parametrize("statement", ["UPDATE entry SET points = 0", "DELETE FROM entry"])
async def test_the_legs_are_seen_and_never_touched(session: Any, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"cannot (update|delete from) view"):
        async with session.begin_nested():
            await session.execute(text(statement))


CONJURED = "INSERT INTO posting SELECT gen_random_uuid(), 'earn', via, now(), now()"


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
        (f"{CONJURED}, 5, 0, 'conjured' FROM lot", "an account is the sum of its entries: via={via}"),
        (f"{CONJURED}, 5, 0, 'conjured' FROM lot", "a posting moves what its kind moves, of a lot or of the "),
        (f"{CONJURED}, -1, 2, 'x', NULL, 'points', NULL, id FROM lot", "a posting moves what its kind moves, of a lot"),
        (
            f"{CONJURED}, 5, 0, 'x', NULL, 'points', NULL, via FROM lot",
            "a lot is the sum of its entries: lot_id={via}",
        ),
        (f"{CONJURED.replace('earn', 'activate')}, 5, -4, 'x' FROM lot", "the entries of a posting sum to zero: "),
        ("UPDATE lot SET via = gen_random_uuid()", "a posting is about a lot of its own identifier: posting_id="),
        (
            "INSERT INTO entry (posting_id, account, via, lot_id, points) SELECT via, 'customer', via, id, 5 FROM lot",
            "what names a lot waits for no posting: posting_id={via}",
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
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    job = next(job for job in jobs_of(runtime) if job.name == "verify-ledger")
    async with committing() as shop:
        await shop.order(uuid7(), 100)
        await shop.derive()
    assert await run_once(runtime, job)
    await verify(committed)
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("UPDATE posting SET points = 99")
    await owner.close()
    with pytest.raises(LedgerBroken, match="an account is the sum of its entries: via="):
        await run_once(runtime, job)
