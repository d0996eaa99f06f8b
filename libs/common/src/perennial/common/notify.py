"""LISTEN/NOTIFY: one connection in each worker wakes the loops that wait for rows."""

import asyncio
import contextlib
from collections.abc import Sequence

import asyncpg
import structlog
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.db.waking import WAKES
from perennial.common.runtime import Runtime

log = structlog.get_logger()

OUTBOX, TIMERS, STALE, OPERATIONS, PRIVACY = "outbox", "timers", "stale", "operations", "privacy"


# Who waits for these looks by itself now and then: for them, it can be said a moment after the commit.
SOON = frozenset({OUTBOX, TIMERS, STALE})


async def notify(session: WriteSession, name: str) -> None:
    """Wake whoever waits for `name` in this service's workers, when the transaction commits."""
    soon: set[str] | None = session.info.get(WAKES)
    if soon is not None and name in SOON:
        soon.add(name)
        return
    await session.execute(text("SELECT pg_notify(current_schema() || '.' || :name, '')"), {"name": name})


async def listen(runtime: Runtime, channels: Sequence[str] = ()) -> None:
    """Set the runtime's wake events on every notification; reconnects for ever, and wakes all after each reconnect."""
    names = (OUTBOX, TIMERS, STALE, OPERATIONS, PRIVACY, *channels)
    while not runtime.stopping.is_set():
        try:
            connection = await runtime.database.listen_connection()
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            log.warning("notify.unreachable", error=repr(error))
            await runtime.pause(0.5)
            continue
        try:
            await _listen_on(runtime, connection, names)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("notify.lost", error=repr(error))
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)


async def _listen_on(runtime: Runtime, connection: asyncpg.Connection, names: tuple[str, ...]) -> None:
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    for name in names:
        wake = runtime.wake(name)
        await connection.add_listener(f"{runtime.name}.{name}", lambda *_, wake=wake: wake.set())
        wake.set()
    waits = [asyncio.create_task(ended.wait()), asyncio.create_task(runtime.stopping.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def wait(runtime: Runtime, name: str, seconds: float) -> None:
    """Wait for a notification of `name`, at most `seconds`; returns at once when the process is stopping."""
    wake = runtime.wake(name)
    waits = [asyncio.create_task(wake.wait()), asyncio.create_task(runtime.stopping.wait())]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    wake.clear()
