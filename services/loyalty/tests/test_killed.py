"""A process dies in the midst of postings, again and again: the books balance, nothing is lost, nothing is twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import randrange
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.settings import CommonSettings
from perennial.loyalty.ledger.service import verify

CHILD = Path(__file__).with_name("dying.py")
PEOPLE, WORTH, BACK = 4, 100, 25  # as the child has them
FOREVER = 10_000
SEED = randrange(10**6) if "PERENNIAL_NEW_EXAMPLES" in os.environ else 1


@asynccontextmanager
async def _working(
    settings: CommonSettings, folder: Path, seed: int, steps: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child at work; whatever the test comes to, none is left."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), str(seed), str(steps), stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PERENNIAL_FAULTS": str(folder),
            "PERENNIAL_DATABASE_URL": settings.dsn(),
            "PERENNIAL_NATS_URL": "nats://127.0.0.1:1",
            "PERENNIAL_INTERNAL_KEY": "unused",
        },
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _said(child: asyncio.subprocess.Process, until: int | None) -> int:
    """Wait until the child has done a step, or until it is dead; returns the last step that it said."""
    assert child.stdout is not None
    last = -1
    while line := await child.stdout.readline():
        if line.strip().isdigit():  # else it is a line of the log
            last = int(line)
            if last == until:
                break
    return last


async def _quiet(committed: Database) -> None:
    """The server has rolled back what the dead process had begun."""
    for _ in range(2000):
        async with committed.read() as session:
            others = await session.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perennial-dying'"
                    " AND datname = current_database()"
                )
            )
            if not others.scalar_one():
                return
        await asyncio.sleep(0.05)
    pytest.fail("the server still works for a process that is dead")


async def _figures(committed: Database) -> tuple[int, ...]:
    async with committed.read() as session:
        row = await session.execute(text("SELECT sum(earned), sum(reversed), sum(spent), sum(balance) FROM account"))
        facts = await session.execute(text("SELECT count(*) FROM outbox WHERE subject = 'loyalty.points.spent.v1'"))
        spent = await session.execute(text("SELECT count(*) FROM posting WHERE kind = 'spend'"))
        return (*(int(value) for value in row.one()), facts.scalar_one() - spent.scalar_one())


async def test_killed_in_the_midst_of_postings(
    committing: Any, committed: Database, settings: CommonSettings, tmp_path: Path
) -> None:
    done, seed = 0, SEED
    for point in ("loyalty.posted", "loyalty.settling", None):
        async with _working(settings, tmp_path, seed, FOREVER) as child:
            last = await _said(child, done)  # it has repeated what was done before, and gone on
            if point is None:
                child.kill()
            else:
                (tmp_path / point).touch()
            done = max(last, await _said(child, None)) + 1
            assert await child.wait() == -signal.SIGKILL
        await _quiet(committed)
        await verify(committed)
    steps = done + 1
    async with _working(settings, tmp_path, seed, steps) as child:
        assert await _said(child, None) == steps - 1
        assert await child.wait() == 0
    async with committing() as shop:
        await shop.derive()
    await verify(committed)
    earned, back, spent, balance, unsaid = await _figures(committed)
    assert (earned, back) == (steps * PEOPLE * WORTH, steps * PEOPLE * BACK), seed
    assert (balance, unsaid) == (earned - back - spent, 0), seed
