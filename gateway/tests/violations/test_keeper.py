"""Violations on their way into Postgres: bounded, counted, and patient."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from perennial.common.db import Database
from perennial.common.settings import CommonSettings
from perennial.gateway.sources.models import Source
from perennial.gateway.violations import keeper as module
from perennial.gateway.violations.keeper import Keeper
from perennial.gateway.violations.records import Broken

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def broken(
    name: str | None = "A", *, at: datetime = NOW, raw: str = "{}", source: str = "web", outcome: str = "rejected"
) -> Broken:
    return Broken(source, at, "no_user_anon_id", "m", None, "track", name, None, outcome, raw, 0, "{}", True)


@pytest.fixture
async def database(committed: Database) -> Database:
    async with committed.write() as session:
        session.add_all([Source(id=name, name=name, kind="server", write_keys=[]) for name in ("web", "app")])
    return committed


@asynccontextmanager
async def running(database: Database, **changes: int) -> AsyncIterator[Keeper]:
    keeper = Keeper(database, **{"rows_per_hour": 1000, "bytes_per_hour": 10**8, "spool_bytes": 10**6, **changes})
    task = asyncio.create_task(keeper.run())
    yield keeper
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await keeper.close()


async def rows(database: Database, what: str = "name") -> list[Any]:
    async with database.read() as session:
        return list((await session.execute(text(f"SELECT {what} FROM violation ORDER BY id"))).scalars())


async def counts(database: Database) -> dict[tuple[str, str], int]:
    async with database.read() as session:
        found = await session.execute(text("SELECT source_id, name, sum(count) FROM violation_count GROUP BY 1, 2"))
        return {(row[0], row[1]): int(row[2]) for row in found}


async def test_what_is_kept_is_stored_when_the_call_returns(database: Database) -> None:
    async with running(database) as keeper:
        await asyncio.gather(*(keeper.keep([broken(str(n))]) for n in range(50)))
        assert len(await rows(database)) == 50
        await keeper.keep([broken(str(n)) for n in range(1200)])
    assert await counts(database) == {("web", str(n)): 1 + (n < 50) for n in range(1200) if n < 1000} | {
        ("web", ""): 200
    }


async def test_an_hour_keeps_so_many_and_counts_all(database: Database) -> None:
    """A public key must not fill the disk."""
    later = NOW + timedelta(hours=1)
    async with running(database, rows_per_hour=3) as keeper:
        await keeper.keep([broken(), broken()])
        await keeper.keep([broken(), broken(), broken()])
        await keeper.keep([broken("app", source="app"), broken("later", at=later)])
        await keeper.keep([broken() for _ in range(10)])
    assert await rows(database) == ["A", "A", "A", "app", "later"]
    assert (await counts(database))["web", "A"] == 15
    async with running(database, rows_per_hour=3) as another_process:
        await another_process.keep([broken(), broken("later", at=later)])
    assert len(await rows(database)) == 6


async def test_an_hour_keeps_so_many_bytes(database: Database) -> None:
    noise = secrets.token_hex(20_000)  # nothing to compress
    async with running(database, bytes_per_hour=100_000) as keeper:
        for _ in range(10):
            await keeper.keep([broken(raw=noise)])
    assert len(await rows(database)) == 3
    assert await counts(database) == {("web", "A"): 10}


async def test_what_a_plan_let_pass_does_not_crowd_out_what_it_rejected(database: Database) -> None:
    async with running(database, rows_per_hour=2) as keeper:
        await keeper.keep([broken("let", outcome="allowed") for _ in range(5)])
        await keeper.keep([broken("not"), broken("let", outcome="omitted")])
    assert await rows(database) == ["let", "let", "not"]


async def test_names_of_a_day_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are the client's: a million of them must not become a million rows."""
    monkeypatch.setattr(module, "NAMES_PER_DAY", 3)
    async with running(database, rows_per_hour=0) as keeper:
        await keeper.keep([broken(str(n)) for n in range(5)])
        await keeper.keep([broken(str(n)) for n in range(7)])
        await keeper.keep([broken(None)])
    assert await counts(database) == {("web", "0"): 2, ("web", "1"): 2, ("web", "2"): 2, ("web", ""): 7}


async def test_names_in_memory_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTS", 3)
    keeper = Keeper(database, rows_per_hour=0, bytes_per_hour=0, spool_bytes=0)
    waiting = asyncio.create_task(keeper.keep([broken(str(n)) for n in range(100)]))
    await asyncio.sleep(0)
    assert await keeper.flush()
    await waiting
    assert sum((await counts(database)).values()) == 100
    assert len(await counts(database)) == 4


@asynccontextmanager
async def forwarded(port: int, url: str) -> AsyncIterator[None]:
    """Postgres, reachable on another port for a while."""
    target = make_url(url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(target.host, target.port)
        await asyncio.gather(pump(reader, outer), pump(inner, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    yield
    server.close()


@pytest.fixture
async def absent(database: Database, settings: CommonSettings, free_port: Callable[[], int]) -> AsyncIterator[Any]:
    """A Postgres that nobody can reach, and how to make it reachable."""
    port = free_port()
    moved = make_url(settings.dsn()).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    found = Database.connect(settings.model_copy(update={"database_url": SecretStr(moved)}), "gateway")
    yield found, lambda: forwarded(port, settings.dsn())
    await found.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    def found() -> int:
        import socket  # noqa: PLC0415 (for this one line)

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return found


async def test_violations_wait_for_postgres(absent: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    away, back = absent
    async with running(away) as keeper:
        started = asyncio.get_running_loop().time()
        await keeper.keep([broken("first")])
        await keeper.keep([broken("second")])
        assert asyncio.get_running_loop().time() - started < 1, "nobody's answer waits for it"
        assert await rows(database) == []
        async with back():
            for _ in range(100):
                if await rows(database):
                    break
                await asyncio.sleep(0.02)
            await keeper.keep([broken("third")])
            assert await rows(database) == ["first", "second", "third"]
            await away.close()
    assert sum((await counts(database)).values()) == 3


async def test_what_waits_is_written_at_the_end(absent: Any, database: Database) -> None:
    away, back = absent
    keeper = Keeper(away, rows_per_hour=10, bytes_per_hour=10**8, spool_bytes=10**6)
    assert await asyncio.wait_for(_kept(keeper, [broken("last")]), 5) is False
    async with back():
        await keeper.close()
        await away.close()
    assert await rows(database) == ["last"]


async def test_the_memory_is_bounded_while_postgres_is_away(absent: Any, database: Database) -> None:
    away, back = absent
    keeper = Keeper(away, rows_per_hour=1000, bytes_per_hour=10**8, spool_bytes=5000)
    await _kept(keeper, [broken(raw="x" * 2000) for _ in range(100)])
    assert len(keeper._rows) == 1
    async with back():
        assert await keeper.flush()
        await away.close()
    assert len(await rows(database)) == 1
    assert await counts(database) == {("web", "A"): 100}, "what is not kept is counted all the same"


async def test_what_is_lost_is_said(absent: Any, capsys: pytest.CaptureFixture[str]) -> None:
    away, _ = absent
    keeper = Keeper(away, rows_per_hour=10, bytes_per_hour=10**8, spool_bytes=10**6)
    await _kept(keeper, [broken(), broken()])
    await keeper.close()
    assert "violations.lost" in capsys.readouterr().out


async def test_a_poisoned_group_does_not_stop_the_next(database: Database) -> None:
    """The source does not exist: that is no reason to wait."""
    async with running(database) as keeper:
        await keeper.keep([broken(source="none")])
        await keeper.keep([broken("good")])
    assert await rows(database) == ["good"]


async def _kept(keeper: Keeper, records: list[Broken]) -> bool:
    """Keep without the loop, and whether it was written."""
    waiting = asyncio.create_task(keeper.keep(records))
    await asyncio.sleep(0)
    written = await keeper.flush()
    await waiting
    return written
