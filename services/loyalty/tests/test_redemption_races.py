"""Many at once, and dying in between: limits and stock are never passed, nobody pays for nothing."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import RedemptionReserved
from perennial.common.db import Database
from perennial.common.failures import is_infrastructure
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import tracked
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.rewards import service as catalogue
from perennial.loyalty.rewards.definition import Offer
from perennial.loyalty.rewards.redemptions import service

STAFF = Principal("staff", "tester", frozenset({"*"}))
MUG = {"kind": "goods", "name": {"en": "Mug"}, "points": 60}
CONNECTIONS = 60

Try = Callable[..., Awaitable[str]]


@pytest.fixture
async def crowd(committed: Database, settings: CommonSettings) -> AsyncIterator[Database]:
    """Room for many connections at once."""
    made = Database.connect(settings.model_copy(update={"pool_size": CONNECTIONS // 2}), "crowd")
    yield made
    await made.close()


async def _people(committing: Any, count: int, points: int = 100) -> list[UUID]:
    vias = [uuid7() for _ in range(count)]
    async with committing() as shop:
        await shop.say(*[tracked("Order Completed", {"order_id": via.hex, "revenue": points}, via=via) for via in vias])
    return vias


async def _offer(database: Database, pool: int = 0, **more: Any) -> UUID:
    made = uuid7()
    async with database.write() as session:
        await catalogue.create(session, STAFF, made, Offer.model_validate({**MUG, **more}))
        if pool:
            await catalogue.add_codes(session, STAFF, made, [f"code {n}" for n in range(pool)])
    return made


async def _reserve(database: Database, reward: UUID, via: UUID) -> str:
    """`ok`, or why not."""
    try:
        async with database.write() as session:
            await service.reserve(session, uuid7(), reward, via)
    except Conflict as error:
        return error.code
    return "ok"


async def _figures(database: Database, reward: UUID) -> tuple[int, int, int]:
    """What is taken, how many redemptions hold something, and their points."""
    async with database.read() as session:
        row = (
            await session.execute(
                text("""SELECT w.taken, count(r.id) AS held, coalesce(sum(r.points), 0) AS points FROM reward w
                        LEFT JOIN redemption r ON r.reward_id = w.id
                            AND r.state IN ('reserved', 'confirmed', 'fulfilled')
                        WHERE w.id = :id GROUP BY w.taken"""),
                {"id": reward},
            )
        ).one()
        return row.taken, row.held, int(row.points)


async def _settled(committing: Any, committed: Database) -> None:
    async with committing() as shop:
        await shop.derive()
    await verify(committed)


async def test_a_thousand_people_want_a_hundred(committing: Any, committed: Database, crowd: Database) -> None:
    vias = await _people(committing, 1000)
    reward = await _offer(committed, stock=100)
    outcomes = await asyncio.gather(*[_reserve(crowd, reward, via) for via in vias])
    assert Counter(outcomes) == {"ok": 100, "sold_out": 900}
    assert await _figures(committed, reward) == (100, 100, 6000)
    async with committing() as shop:
        rows = await shop.session.execute(text("SELECT via, balance FROM account"))
        balances = {row.via: row.balance for row in rows}
        assert all(balances[via] == (40 if won == "ok" else 100) for via, won in zip(vias, outcomes, strict=True))
        assert len(await shop.said(RedemptionReserved)) == 100
    await _settled(committing, committed)


async def test_each_code_is_given_once(committing: Any, committed: Database, crowd: Database) -> None:
    vias = await _people(committing, 120)
    reward = await _offer(committed, 40, kind="voucher", codes=True)
    outcomes = await asyncio.gather(*[_reserve(crowd, reward, via) for via in vias])
    assert Counter(outcomes) == {"ok": 40, "sold_out": 80}
    assert await _figures(committed, reward) == (40, 40, 2400)
    async with committed.read() as session:
        held = await session.execute(text("SELECT count(DISTINCT redemption_id) FROM voucher_code"))
        assert held.scalar_one() == 40
    await _settled(committing, committed)


@pytest.mark.parametrize("points", [0, 10])
async def test_a_person_of_many_devices_passes_no_limit(
    committing: Any, committed: Database, crowd: Database, points: int
) -> None:
    vias = await _people(committing, 20)
    async with committing() as shop:
        await shop.assign(vias[0], *vias)
    reward = await _offer(committed, points=points, limits=[{"count": 3, "per": "day"}])
    outcomes = await asyncio.gather(*[_reserve(crowd, reward, via) for via in vias * 2])
    assert Counter(outcomes) == {"ok": 3, "limit_reached": 37}
    await _settled(committing, committed)


async def test_a_merge_in_between_overdraws_nothing(committing: Any, committed: Database, crowd: Database) -> None:
    anna, phone, *_ = await _people(committing, 2)
    reward = await _offer(committed, stock=50)

    async def merge() -> str:
        while True:
            try:
                async with committing() as shop:
                    await shop.assign(anna, phone)
            except Exception as error:
                if not is_infrastructure(error):
                    raise
            else:
                return "merged"

    outcomes = await asyncio.gather(*[_reserve(crowd, reward, via) for via in [anna, phone] * 5], merge())
    won = outcomes.count("ok")
    async with committing() as shop:
        assert await shop.balance(anna) == 200 - 60 * won >= 0
    assert await _figures(committed, reward) == (won, won, 60 * won)
    await _settled(committing, committed)


async def test_points_that_are_few_buy_one_of_many(committing: Any, committed: Database, crowd: Database) -> None:
    (via,) = await _people(committing, 1)
    rewards = [await _offer(committed, stock=5) for _ in range(12)]
    outcomes = await asyncio.gather(*[_reserve(crowd, reward, via) for reward in rewards])
    assert Counter(outcomes) == {"ok": 1, "insufficient_points": 11}
    await _settled(committing, committed)


async def test_confirming_cancelling_and_lapsing_at_once(committing: Any, committed: Database, crowd: Database) -> None:
    vias = await _people(committing, 30)
    reward = await _offer(committed, stock=30)
    ids = [uuid7() for _ in vias]
    for number, via in zip(ids, vias, strict=True):
        async with committed.write() as session:
            await service.reserve(session, number, reward, via)
    late = utc_now() + timedelta(hours=1)

    async def once(verb: Any, number: UUID, *more: Any) -> str:
        try:
            async with crowd.write() as session:
                return str((await verb(session, number, *more)).state)
        except Conflict as error:
            return error.code

    async def lapse() -> int:
        async with crowd.write() as session:
            return await service.expire_due(session, late)

    said = await asyncio.gather(
        *[once(service.confirm, number, "pay") for number in ids[:20]],
        *[once(service.cancel, number) for number in ids[10:]],
        lapse(),
        lapse(),
    )
    lapsed = 0
    while some := await lapse():
        lapsed += some
    counted = Counter(said)
    async with committed.read() as reading:
        rows = (await reading.execute(text("SELECT id, state FROM redemption"))).all()
        states = Counter(row.state for row in rows)
        returned = (await reading.execute(text("SELECT count(*) FROM posting WHERE kind = 'return'"))).scalar_one()
    assert states["cancelled"] == counted["cancelled"]
    assert states["expired"] == lapsed + sum(item for item in said if isinstance(item, int))
    assert returned == 30 - states["confirmed"]
    taken, held, _ = await _figures(committed, reward)
    assert taken == held == states["confirmed"]
    await _settled(committing, committed)


DYING = """
import asyncio, sys
from uuid import UUID
from datetime import datetime
from perennial.common.db import Database
from perennial.common.settings import CommonSettings
from perennial.loyalty.rewards.redemptions import service

async def main():
    database = Database.connect(CommonSettings(), "dying")
    async with database.write() as session:
        if sys.argv[1] == "reserve":
            await service.reserve(session, *map(UUID, sys.argv[2:]))
        else:
            await service.expire_due(session, datetime.fromisoformat(sys.argv[2]))

asyncio.run(main())
"""


async def _die(settings: CommonSettings, folder: Path, point: str, *arguments: object) -> None:
    (folder / point).touch()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, *map(str, arguments),
        env={
            **os.environ,
            "PERENNIAL_FAULTS": str(folder),
            "PERENNIAL_DATABASE_URL": settings.dsn(),
            "PERENNIAL_NATS_URL": "nats://127.0.0.1:1",
            "PERENNIAL_INTERNAL_KEY": "unused",
        },
    )  # fmt: skip
    assert await process.wait() == -signal.SIGKILL
    assert not (folder / point).exists()


async def test_dying_in_the_middle_holds_nothing_and_gives_nothing_twice(
    committing: Any, committed: Database, settings: CommonSettings, tmp_path: Path
) -> None:
    (via,) = await _people(committing, 1)
    reward, number = await _offer(committed, 1, stock=1, kind="voucher", codes=True), uuid7()
    await _die(settings, tmp_path, "loyalty.reserved", "reserve", number, reward, via)
    assert await _figures(committed, reward) == (0, 0, 0)
    async with committed.write() as session:
        await service.reserve(session, number, reward, via)
    late = utc_now() + timedelta(hours=1)
    await _die(settings, tmp_path, "loyalty.releasing", "expire", late)
    assert await _figures(committed, reward) == (1, 1, 60)
    for expected in (1, 0):
        async with committed.write() as session:
            assert await service.expire_due(session, late) == expected
    assert await _figures(committed, reward) == (0, 0, 0)
    async with committing() as shop:
        assert await shop.balance(via) == 100
    assert await _reserve(committed, reward, via) == "ok"
    await _settled(committing, committed)
