"""A posting is both its legs: what the version before writes and reads is so, while and after the migration runs."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import alembic.command
import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession, migrations, provision
from perennial.common.ids import uuid7
from perennial.common.testing.plugin import OWNER_PASSWORD, PASSWORD
from perennial.loyalty.main import SERVICE
from perennial.loyalty.migrations.versions import __name__ as versions
from perennial.loyalty.points import service, writing
from perennial.loyalty.points.posting import Lot, Posting, activate, cut, give_back, issue
from services.loyalty.tests import before

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LEGS = "SELECT posting_id, account, via, lot_id, points FROM entry ORDER BY 1, 2"
SPENT = "SELECT outcome FROM spend_points(:id, :via, 'points', 30, now(), 'coat', NULL)"


def _life(via: UUID) -> tuple[list[Posting], list[Lot]]:
    """A lot of everything that can be, and what else happens to it."""
    now = utc_now()
    waiting = Lot(uuid7(), via, 100, now, now + timedelta(days=1), now + timedelta(days=9), uuid7(), state="pending")
    given = Lot(uuid7(), via, 50, now, now, qualifies=False)
    spent = Posting(uuid7(), "spend", via, now, "coat", -30)
    postings = [
        issue(waiting, "earn", "order", "A"),
        issue(given, "adjust", "hand", None),
        cut(waiting, "reverse", 10, now, "refund", "A"),
        activate(Lot(waiting.id, via, 90, now, now, state="pending")),
        cut(Lot(waiting.id, via, 100, now, now, reversed=10), "reverse", 20, now, "refund", "A"),
        cut(Lot(waiting.id, via, 100, now, now), "expire", 5, now, "expired"),
        spent,
        give_back(spent.id, via, "points", 30, now, "return"),
        Posting(uuid7(), "adjust", via, now, "hand", -7),
    ]
    return postings, [waiting, given]


@pytest.mark.parametrize("write", [before.post, writing.post], ids=["before", "today"])
async def test_both_versions_leave_the_same_books(session: WriteSession, write: Any) -> None:
    await session.execute(text("SELECT 1"))
    via = uuid7()
    postings, lots = _life(via)
    for at, item in enumerate(postings):  # all of the lots at once, what happens to them later
        if at != 1:
            await write(session, postings[:2] if at == 0 else [item], lots if at == 0 else ())
    kept = (await session.execute(text("SELECT id, lot_id FROM posting WHERE via = :via"), {"via": via})).all()
    assert set(kept) == {(item.id, item.lot_id) for item in postings}
    assert not (await session.execute(text("SELECT count(*) FROM entry_lot"))).scalar_one()
    legs = (await session.execute(text(LEGS))).all()
    written = {(item.id, account, points) for item in postings for account, points in _legs(item)}
    assert {(row.posting_id, row.account, row.points) for row in legs} == written


def _legs(item: Posting) -> list[tuple[str, int]]:
    legs = [
        ("customer", item.points),
        ("pending", item.pending),
        (before.AGAINST[item.kind], -item.points - item.pending),
    ]
    return [(account, points) for account, points in legs if points]


async def test_a_shop_runs_on_with_the_version_before(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker beside one of today: each takes up what the other has posted."""
    via = uuid7()
    await shop.programme(LONG_AGO, pending_days=3, expiry_months=2)
    for version in (before.post, writing.post) * 2:
        monkeypatch.setattr(service, "post", version)
        await shop.order(via, 100, "old", at=utc_now() - timedelta(days=4))
        await shop.order(via, 60)
        await shop.refund("old", via=via, properties={"revenue": 10})
        await shop.prove()
    while await service.activate_due(shop.session, utc_now() + timedelta(days=4)):
        await shop.prove()
    monkeypatch.setattr(service, "post", before.post)
    while await service.expire_due(shop.session, utc_now() + timedelta(days=90)):
        await shop.prove()
    assert await shop.balance(via) == 0


async def test_spending_goes_on_by_the_function_of_before(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 100)
    function = import_module(f"{versions}.0009_spending").SPEND_POINTS
    await shop.session.execute(
        text(function.replace("OR REPLACE FUNCTION ", "FUNCTION pg_temp.").replace(":=", "\\:="))
    )
    await shop.session.execute(text(SPENT.replace("spend_points", "pg_temp.spend_points")), {"id": uuid7(), "via": via})
    assert await shop.balance(via) == 70
    await shop.session.execute(text("DROP FUNCTION pg_temp.spend_points"))


@pytest.fixture
async def empty() -> AsyncIterator[SimpleNamespace]:
    """A database of this test's own, as it was before."""
    admin, name = os.environ["PERENNIAL_TEST_DATABASE_URL"], f"t_legs_{uuid4().hex[:10]}"
    parts = urlsplit(admin)
    own = urlunsplit(parts._replace(path=f"/{name}"))
    owner = parts._replace(netloc=f"loyalty_owner:{OWNER_PASSWORD}@{parts.hostname}:{parts.port}", path=f"/{name}")
    connection = await asyncpg.connect(admin)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    await provision.provision(own, {SERVICE.name: (PASSWORD, OWNER_PASSWORD)})
    url = urlunsplit(owner)
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, url, "0009")
    yield SimpleNamespace(owner=url)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


async def _write(url: str, times: int = 3) -> list[Any]:
    """What the version before posts; the legs that are there then."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with WriteSession(engine) as session, session.begin():
        await session.execute(text("SELECT 1"))
        for _ in range(times):
            await before.post(session, *_life(uuid7()))
        legs = (await session.execute(text(LEGS))).all()
    await engine.dispose()
    return [tuple(row) for row in legs]


async def _legs_of(url: str) -> list[Any]:
    return await _write(url, 0)


async def test_the_view_says_what_the_table_said_and_back_again(
    empty: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    legs = import_module(f"{versions}.0010_legs")
    monkeypatch.setattr(legs, "FILL_AT_ONCE", 5)
    said = await _write(empty.owner)
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner, "0010")
    assert await _legs_of(empty.owner) == said
    later = await _write(empty.owner)
    assert len(later) > len(said)
    config = migrations.config(SERVICE.migrations, empty.owner)
    await asyncio.to_thread(alembic.command.downgrade, config, "0009")
    assert await _legs_of(empty.owner) == later
    assert len(await _write(empty.owner)) > len(later)


async def test_nothing_is_dropped_that_the_view_would_not_say(empty: SimpleNamespace) -> None:
    said = await _write(empty.owner)
    owner = await asyncpg.connect(empty.owner)
    bad, account, _, _, points = said[0]
    change = "UPDATE entry SET points = $3 WHERE posting_id = $1 AND account = $2"
    await owner.execute(change, bad, account, 99)
    with pytest.raises(RuntimeError, match=f"entries of posting {bad}"):
        await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner, "0010")
    await owner.execute(change, bad, account, points)
    during = await _write(empty.owner)
    assert not await owner.fetch(
        "SELECT FROM posting p JOIN entry e ON e.posting_id = p.id WHERE e.lot_id IS DISTINCT FROM p.lot_id"
    ), "what is posted while the older ones are filled is filled at once"
    await owner.close()
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner, "0010")
    assert await _legs_of(empty.owner) == during


async def test_the_version_before_posts_on_while_the_migration_runs(
    empty: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its statement and by its function; no leg is lost, and no lot is left behind."""
    legs = import_module(f"{versions}.0010_legs")
    monkeypatch.setattr(legs, "FILL_AT_ONCE", 7)
    over, said = asyncio.Event(), [row for _ in range(3) for row in await _write(empty.owner, 10)]

    async def work() -> None:
        connection = await asyncpg.connect(empty.owner)
        while not over.is_set():
            said.extend(await _write(empty.owner, 1))
            via = uuid7()
            await connection.execute("INSERT INTO identity_map (via, customer_id, version) VALUES ($1, $1, 1)", via)
            await connection.execute("INSERT INTO account (via, currency, balance) VALUES ($1, 'points', 90)", via)
            spent = SPENT.replace(":id", "$1").replace(":via", "$2")
            assert await connection.fetchval(spent, uuid7(), via) == "posted"
        await connection.close()

    writers = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner, "0010")
    await asyncio.sleep(0.2)
    over.set()
    await asyncio.wait_for(asyncio.gather(*writers), 60)
    found = await _legs_of(empty.owner)
    assert set(said) <= set(found)
    owner = await asyncpg.connect(empty.owner)
    assert not await owner.fetchval("SELECT count(*) FROM entry_lot")
    unlinked = "SELECT count(*) FROM posting WHERE (lot_id IS NULL) <> (kind IN ('spend', 'return') OR points = -7)"
    assert not await owner.fetchval(unlinked)
    assert not await owner.fetch("SELECT FROM entry GROUP BY posting_id HAVING sum(points) <> 0")
    await owner.close()
