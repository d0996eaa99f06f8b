"""Engines and sessions; reading and writing sessions are different types."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import asyncpg
from opentelemetry import metrics
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from perennial.common.db import spans
from perennial.common.db.lone import Lone
from perennial.common.db.waking import WAKES, Waker

if TYPE_CHECKING:
    from perennial.common.settings import CommonSettings

ASIDES, ASIDE = 2, "aside"
PATIENCE = 6 * 3600

_ENGINES: "WeakSet[AsyncEngine]" = WeakSet()
_LONE: "WeakSet[Lone]" = WeakSet()


def _pooled(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
    """Connections in use and those there may be, of every pool that is alive."""
    pools = [engine.pool for engine in list(_ENGINES) if isinstance(engine.pool, QueuePool)]
    lone = list(_LONE)
    used = sum(pool.checkedout() for pool in pools) + sum(each.used for each in lone)
    yield metrics.Observation(used, {"state": "used"})
    yield metrics.Observation(sum(pool.size() for pool in pools) + sum(each.most for each in lone), {"state": "most"})


metrics.get_meter("perennial").create_observable_gauge(
    "perennial.pool.connections", [_pooled], description="Connections to Postgres in use, and the most there may be."
)


class ReadSession(AsyncSession):
    """A session for queries; nothing can be emitted through it."""


class WriteSession(ReadSession):
    """A session whose transaction is one request or one batch."""


class Database:
    """One engine and its two kinds of sessions.

    `async with database.write() as session:` commits at the end and rolls back on an error.
    """

    def __init__(self, engine: AsyncEngine, settings: "CommonSettings", **connecting: Any) -> None:
        """`connecting` are asyncpg's options for connections past the engine."""
        self.engine = engine
        self.dsn = settings.dsn(direct=True)
        self.info = {"settings": settings}
        self._read = async_sessionmaker(engine, class_=ReadSession, expire_on_commit=False, info=self.info)
        self._write = async_sessionmaker(engine, class_=WriteSession, expire_on_commit=False, info=self.info)
        self._lone = Lone(lambda: asyncpg.connect(settings.dsn(), **connecting), settings.pool_size)
        _LONE.add(self._lone)
        self._waker = Waker(self._lone)
        self._aside: AsyncEngine | None = None
        self.asides = asyncio.Semaphore(ASIDES)

    @classmethod
    def connect(cls, settings: "CommonSettings", name: str, *, patience: int = 1) -> "Database":
        """Make the engine; no connection is opened yet. `patience` times as long as usual everything may take."""
        connecting = {
            "timeout": 5 * patience,
            "command_timeout": 60 * patience,
            "server_settings": {"application_name": f"perennial-{name}", "jit": "off"},
        }
        engine = create_async_engine(
            make_url(settings.dsn()).set(drivername="postgresql+asyncpg"),
            pool_size=settings.pool_size * 2,  # what overflows would be opened and closed again and again
            max_overflow=0,
            pool_pre_ping=False,
            hide_parameters=True,  # they are what people have sent, and errors are logged
            connect_args=connecting,
        )
        _ENGINES.add(engine)
        if settings.otlp_endpoint:
            spans.install(engine)
        return cls(engine, settings, **connecting)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session that is rolled back at the end."""
        async with self._read() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A session in a transaction that is committed at the end."""
        wakes: set[str] = set()
        ends = False
        try:
            async with self._write() as session:
                session.info[WAKES] = wakes
                async with session.begin():
                    yield session
                    ends = True
        finally:
            if ends and wakes:  # also where the commit's answer was lost, or nobody waits for it any more
                self._waker.wake(wakes)

    async def alone(self, statement: str, *values: object) -> Any:
        """The value of a statement that is a transaction of its own: one round trip, where a session takes three.

        Straight through asyncpg, on connections of its own: `$1` stands for a value, and errors are asyncpg's.
        """
        return await self._lone.fetchval(statement, *values)

    def wake(self, *names: str) -> None:
        """Wake the loops that wait for these channels of this service, after a commit."""
        self._waker.wake(set(names))

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[WriteSession]:
        """A session on a fresh connection past any pooler, closed afterwards; rolled back at the end.

        One snapshot for all that it reads. No statement was prepared before, so its names mean what the session makes
        of them (see `preview`). There are only so many at a time (`asides`).
        """
        if self._aside is None:
            self._aside = create_async_engine(
                make_url(self.dsn).set(drivername="postgresql+asyncpg"),
                poolclass=NullPool,
                hide_parameters=True,
                isolation_level="REPEATABLE READ",
                connect_args={"timeout": 5, "server_settings": {"application_name": "perennial-aside", "jit": "off"}},
            )
        info = {**self.info, ASIDE: True}
        async with self.asides, WriteSession(self._aside, expire_on_commit=False, info=info) as session:
            yield session

    async def listen_connection(self) -> asyncpg.Connection:
        """A connection of its own, for LISTEN and session locks; the caller closes it."""
        return await asyncpg.connect(self.dsn, timeout=5, server_settings={"application_name": "perennial-listen"})

    async def close(self) -> None:
        """Close every pooled connection."""
        await self._waker.close()
        await self._lone.close()
        await self.engine.dispose()
        if self._aside is not None:
            await self._aside.dispose()


def settings_of(session: AsyncSession) -> "CommonSettings":
    """The settings of the process, for verbs that need the deployment's zone or currency."""
    settings: CommonSettings = session.info["settings"]
    return settings


async def fetch_patiently(
    session: AsyncSession, statement: str, values: Mapping[str, object] | None = None
) -> list[asyncpg.Record]:
    """The rows of a statement that reads whole tables: it may take hours, where others have a minute.

    `values` may hold more than it names. For jobs, in a transaction that has begun; never for a request.
    """
    compiled = text(statement).compile(dialect=(await session.connection()).dialect)
    names = compiled.positiontup or []
    driver, known = await raw(session), values or {}
    return await driver.fetch(str(compiled), *(known[name] for name in names), timeout=PATIENCE)


async def raw(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection under a session whose transaction has begun, for COPY and for unnest of many rows.

    Raises RuntimeError when no statement has opened the transaction yet: the driver would then autocommit.
    """
    connection = await (await session.connection()).get_raw_connection()
    driver = cast("asyncpg.Connection", connection.driver_connection)
    if not driver.is_in_transaction():
        msg = "run a statement on the session before taking its raw connection"
        raise RuntimeError(msg)
    return driver
