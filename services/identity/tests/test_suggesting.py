"""The job that looks for duplicates: its process reads and opens by itself, and may die at any moment."""

import asyncio
import multiprocessing
import os
import signal
from datetime import UTC, date, datetime
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import Database
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.suggestions import queries
from perennial.identity.suggestions.jobs import suggest
from perennial.identity.suggestions.pairs import Agreement, Pair
from perennial.identity.vault import Vault

PEOPLE, MISSPELLED = 300, 30


@pytest.fixture
async def known(
    service: Service, settings: CommonSettings, committed: Database, keys: Keys, accept: Any
) -> ServiceRuntime:
    """A runtime whose identity knows people, some of them twice."""
    events = []
    for number in range(PEOPLE + MISSPELLED):
        person = number % PEOPLE
        again = number >= PEOPLE
        traits = {
            "firstName": f"first{person % 23:x}", "lastName": f"last{person * 7919 % 9973:04}" + ("x" if again else ""),
            "birthday": date.fromordinal(720_000 + person * 37).isoformat(),
            "address": {"street": f"{person % 90} Street {person % 8}", "city": f"City {person % 9}"},
        }  # fmt: skip
        events.append(accept(kind="identify", anonymousId=f"visitor {number}", traits=traits))
    async with committed.write() as session:
        await decide(session, Arrival.of(EventsAccepted("shop", events), 1), keys, datetime.now(UTC))
    return ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]


async def pending(database: Database) -> list[float]:
    async with database.read() as session:
        return [row["weight"] for row in await queries.listing(session, "pending", None, None, 1000)]


async def test_it_finds_them_from_events_alone_and_the_worker_opens_nothing(
    known: ServiceRuntime, committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_open(*_: object) -> str:
        raise AssertionError("the worker opens what is sealed")

    monkeypatch.setattr(Vault, "open", no_open)
    await suggest(known)
    assert MISSPELLED * 0.8 <= len(await pending(committed)) <= MISSPELLED * 1.2


async def queued(database: Database) -> None:
    """A suggestion of the day before."""
    low, high = sorted((str(uuid4()), str(uuid4())))
    async with database.write() as session:
        await queries.suggest(session, [Pair(low, high, 7.0, 0.99, {"last_name": Agreement("equal", 7.0)})])


async def child(database: Database, *, reading: bool) -> BaseProcess:
    """The process that looks for duplicates; if asked for, once it is in the database."""
    question = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perennial-aside'")
    async with asyncio.timeout(30):
        while True:
            async with database.read() as session:
                inside = (await session.execute(question)).scalar_one() > 0
            found = [one for one in multiprocessing.active_children() if one.name == "suggestions"]
            if found and (inside or not reading):
                return found[0]
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("reading", [False, True], ids=["at its start", "while it reads"])
async def test_its_process_killed_leaves_nothing_half_and_the_next_run_does_it(
    known: ServiceRuntime, committed: Database, reading: bool
) -> None:
    await queued(committed)
    running = asyncio.create_task(suggest(known))
    victim = await child(committed, reading=reading)
    os.kill(victim.pid or 0, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="exit code -9"):
        await running
    assert await pending(committed) == [7.0], "yesterday's stands"
    await suggest(known)
    assert 7.0 not in await pending(committed)
    assert len(await pending(committed)) >= MISSPELLED * 0.8


async def test_a_worker_that_stops_takes_it_along(known: ServiceRuntime, committed: Database) -> None:
    running = asyncio.create_task(suggest(known))
    victim = await child(committed, reading=False)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(victim.join, 10)
    assert victim.exitcode == -signal.SIGKILL
