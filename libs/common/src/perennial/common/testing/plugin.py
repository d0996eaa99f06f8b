"""Fixtures that every service's `conftest.py` takes over by `pytest_plugins = ["perennial.common.testing.plugin"]`.

A service's conftest defines `service` (session scope) returning its `SERVICE`. `session` is rolled back after each
test; `committed` is for tests of relay, locks, LISTEN and concurrency: everything is truncated afterwards.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from nats.js.client import JetStreamContext
from nats.js.errors import ServerError
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from perennial.common import streams
from perennial.common.auth import Kind, Principal, mint
from perennial.common.db import Database, ReadSession, WriteSession, migrations, provision
from perennial.common.ids import uuid7
from perennial.common.runtime import connect_nats
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.web.app import create_app

PASSWORD, OWNER_PASSWORD = "test-only", "test-owner-only"


def _with_database(url: str, database: str, user: str | None = None) -> str:
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}"
    password = OWNER_PASSWORD if (user or "").endswith("_owner") else PASSWORD
    credentials = f"{user}:{password}" if user else f"{parts.username}:{parts.password}"
    return urlunsplit(("postgresql", f"{credentials}@{host}", f"/{database}", "", ""))


@pytest.fixture(scope="session")
def key_pair() -> tuple[str, str]:
    """A private and a public key (PEM) for internal tokens."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.fixture(scope="session")
def build_schema(service: Service) -> Callable[[str], None]:
    """How the schema comes about, given the owner's URL: by the migrations, which must say what the models say."""

    def build(url: str) -> None:
        migrations.upgrade(service.migrations, url)
        migrations.check(service.migrations, url)

    return build


@pytest.fixture(scope="session")
def database_urls(service: Service, build_schema: Callable[[str], None]) -> Iterator[SimpleNamespace]:
    """A fresh database with the service's schema: `.login`, `.owner`, `.admin`."""
    admin = os.environ["PERENNIAL_TEST_DATABASE_URL"]
    name = f"t_{service.name}_{uuid4().hex[:10]}"
    _in_thread(_admin(admin, f'CREATE DATABASE "{name}" TEMPLATE template0'))
    urls = SimpleNamespace(
        admin=_with_database(admin, name),
        owner=_with_database(admin, name, f"{service.name}_owner"),
        login=_with_database(admin, name, service.name),
    )
    _in_thread(provision.provision(urls.admin, {service.name: (PASSWORD, OWNER_PASSWORD)}))
    _run(lambda: build_schema(urls.owner))
    yield urls
    _in_thread(_admin(admin, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _admin(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def _run(call: Callable[[], None]) -> None:
    """In a thread of its own: the session's loop may be running in this one."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (only here)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def _in_thread(coroutine: Any) -> None:
    _run(lambda: asyncio.run(coroutine))


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    """What a service's tests set besides; a conftest defines it again."""
    return {}


@pytest.fixture(scope="session")
def settings(
    service: Service, database_urls: SimpleNamespace, key_pair: tuple[str, str], extra_settings: dict[str, Any]
) -> CommonSettings:
    """The service's settings for tests."""
    return service.settings.model_validate(
        {
            "database_url": SecretStr(database_urls.login),
            "nats_url": SecretStr(os.environ.get("PERENNIAL_TEST_NATS_URL", "nats://127.0.0.1:1")),
            "internal_key": key_pair[1],
            "internal_private_key": SecretStr(key_pair[0]),
            "identifier_key": SecretStr("11" * 32),
            "encryption_key": SecretStr("22" * 32),
            **extra_settings,
        }
    )


@pytest.fixture(scope="session")
async def bound(database_urls: SimpleNamespace) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(database_urls.login.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


class BoundDatabase(Database):
    """Sessions that all live in one outer transaction: what a test writes is gone afterwards."""

    def __init__(self, connection: AsyncConnection, settings: CommonSettings) -> None:
        super().__init__(connection.engine, settings)
        self._connection = connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session in the outer transaction."""
        async with ReadSession(self._connection, expire_on_commit=False, info=self.info) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A session whose commit releases a savepoint."""
        async with (
            WriteSession(
                self._connection, expire_on_commit=False, info=self.info, join_transaction_mode="create_savepoint"
            ) as session,
            session.begin(),
        ):
            yield session

    async def alone(self, statement: str, *values: object) -> Any:
        """A statement in a savepoint."""
        async with self._connection.begin_nested():
            held = await self._connection.get_raw_connection()
            return await cast("asyncpg.Connection", held.driver_connection).fetchval(statement, *values)

    def wake(self, *names: str) -> None:
        """Nobody waits."""


@pytest.fixture
async def database(bound: AsyncConnection, settings: CommonSettings) -> AsyncIterator[BoundDatabase]:
    """The rolled-back database of one test."""
    outer = await bound.begin()
    yield BoundDatabase(bound, settings)
    await outer.rollback()


@pytest.fixture
async def session(database: BoundDatabase) -> AsyncIterator[WriteSession]:
    """One open write session of a test."""
    async with database.write() as opened:
        yield opened


@pytest.fixture
async def committed(
    service: Service, settings: CommonSettings, database_urls: SimpleNamespace
) -> AsyncIterator[Database]:
    """A database in which commits are real; every table is emptied after the test."""
    made = Database.connect(settings, service.name, patience=20)  # the machine may be busy with everything else
    yield made
    await made.close()
    connection = await asyncpg.connect(database_urls.owner)
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
    )
    names = ", ".join(f'"{row["tablename"]}"' for row in tables)
    await connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    await connection.close()


@pytest.fixture
def runtime(service: Service, settings: CommonSettings, database: BoundDatabase) -> ServiceRuntime:
    """A runtime without NATS, on the rolled-back database."""
    return ServiceRuntime(service, settings, database, nats=None)  # type: ignore[arg-type]


async def _apply(js: JetStreamContext, service: Service) -> None:
    """The broker clears away a deleted stream behind its answer; its name may be free only a moment later."""
    for attempt in range(20):
        try:
            await streams.apply(js, streams.plan([service]))
        except ServerError:
            if attempt == 19:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@pytest.fixture
async def live_runtime(
    service: Service, settings: CommonSettings, committed: Database
) -> AsyncIterator[ServiceRuntime]:
    """A runtime with real commits and a real broker whose streams are empty; needs the fixture `nats_url`."""
    client = await connect_nats(settings.nats_url.get_secret_value(), f"test-{service.name}")
    js = client.jetstream(timeout=10)
    for name in [info.config.name for info in await js.streams_info()]:
        await js.delete_stream(str(name))
    await _apply(js, service)
    made = ServiceRuntime(service, settings, committed, client)
    yield made
    made.stopping.set()
    await client.close()


@pytest.fixture
def token(key_pair: tuple[str, str]) -> Callable[..., str]:
    """`token("loyalty:write")` for an API key, `token(via=…)` for a customer; `fields` is what it sees in clear."""

    def made(
        *scopes: str,
        via: UUID | None = None,
        who: str = "tester",
        fields: Iterable[str] = ("*",),
        kind: Kind = "api_key",
    ) -> str:
        principal = Principal("customer" if via else kind, who, frozenset(scopes or ("*",)), via, frozenset(fields))
        return mint(key_pair[0], principal)

    return made


@pytest.fixture
def app(service: Service, settings: CommonSettings, runtime: ServiceRuntime) -> FastAPI:
    """The service's API over the rolled-back database."""

    @asynccontextmanager
    async def nothing(_: FastAPI) -> AsyncIterator[None]:
        yield

    made = create_app(service, settings, nothing)
    made.state.runtime = runtime
    return made


@pytest.fixture
async def client(app: FastAPI, token: Callable[..., str]) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with every scope; override `headers` for another principal."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://service", headers={"Authorization": f"Bearer {token('*')}"}
    ) as opened:
        yield opened


async def customer(session: WriteSession, *, of: UUID | None = None, version: int = 1) -> UUID:
    """A customer of one identifier in the service's map, or one more identifier `of` a customer."""
    via = uuid7()
    await session.execute(
        text("INSERT INTO identity_map (via, customer_id, version) VALUES (:via, :customer, :version)"),
        {"via": via, "customer": of or via, "version": version},
    )
    return via
