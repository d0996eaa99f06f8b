"""Identity's fixtures: its service, events as the gateway accepts them, and a look into the map."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol, cast
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import AcceptedEvent, EventsAccepted
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import ReadSession, WriteSession
from perennial.common.identifiers import blind_index, normalise
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.settings import CommonSettings
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.identity.decider import keys_of
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.main import SERVICE
from perennial.identity.settings import IdentitySettings
from perennial.identity.traces import Reader
from perennial.identity.worker import consume

NUMBERS = count(1)


class Accept(Protocol):
    def __call__(self, **fields: Any) -> AcceptedEvent: ...


Decide = Callable[..., Awaitable[list[ResolvedEvent]]]
Customers = Callable[..., Awaitable[dict[str, UUID]]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def keys(settings: CommonSettings) -> Keys:
    return keys_of(cast("IdentitySettings", settings))


@pytest.fixture(scope="session")
def accept() -> Accept:
    """`accept(userId="u1", traits={"email": …})`: an event as the gateway passes it on."""

    def made(
        *,
        message_id: str | None = None,
        kind: str = "track",
        live: bool = True,
        imported: bool = False,
        at: datetime | None = None,
        received: datetime | None = None,
        **body: Any,
    ) -> AcceptedEvent:
        now = received or datetime.now(UTC)
        message_id = message_id or f"m{next(NUMBERS)}"
        raw = msgspec.Raw(msgspec.json.encode({"type": kind, "messageId": message_id, **body}))
        return AcceptedEvent(message_id, kind, "Order Completed", at or now, now, live, imported, raw)

    return made


@pytest.fixture
def decided(session: WriteSession, keys: Keys) -> Decide:
    """`decided(event, …, seq=1)`: one pull of one message, decided in the test's transaction."""

    async def run(*events: AcceptedEvent, seq: int | None = None, source: str = "shop") -> list[ResolvedEvent]:
        number = seq if seq is not None else next(NUMBERS)
        arrivals = Arrival.of(EventsAccepted(source, list(events)), number)
        return await decide(session, arrivals, keys, datetime.now(UTC))

    return run


@pytest.fixture(scope="session")
def whose(settings: CommonSettings) -> Customers:
    """`whose(session, "email:a@b.cn", …)`: today's customer of each identifier that is known."""

    async def run(session: ReadSession, *identifiers: str) -> dict[str, UUID]:
        key = bytes.fromhex(settings.identifier_key.get_secret_value())
        digests = {}
        for identifier in identifiers:
            kind, value = identifier.split(":", 1)
            digests[blind_index(key, kind, normalise(kind, value) or "")] = identifier
        rows = await session.execute(
            text("SELECT digest, customer_id FROM identity_map WHERE digest = ANY(:digests)"),
            {"digests": list(digests)},
        )
        return {digests[bytes(row[0])]: row[1] for row in rows}

    return run


@pytest.fixture
def emitted(session: WriteSession) -> Callable[[str], Awaitable[list[dict[str, Any]]]]:
    """`emitted("identity.customer.merged.v1")`: the bodies of facts in the outbox, in order."""

    async def run(subject: str) -> list[dict[str, Any]]:
        rows = await session.execute(
            text("SELECT body FROM outbox WHERE subject = :subject ORDER BY id"), {"subject": subject}
        )
        return [msgspec.json.decode(body) for body in rows.scalars()]

    return run


async def assert_whole(session: ReadSession) -> None:
    """Every customer in use bears the name of an identifier that belongs to it: no chains."""
    broken = await session.execute(
        text("""SELECT count(*) FROM identity_map m LEFT JOIN identity_map c ON c.via = m.customer_id
                WHERE c.customer_id IS DISTINCT FROM m.customer_id""")
    )
    assert broken.scalar_one() == 0


@pytest.fixture(scope="session")
def whole() -> Callable[[ReadSession], Awaitable[None]]:
    return assert_whole


@pytest.fixture
async def consuming(live_runtime: Runtime) -> AsyncIterator[Runtime]:
    task = asyncio.create_task(consume(live_runtime))
    yield live_runtime
    live_runtime.stopping.set()
    await asyncio.wait_for(task, 20)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Events of the user `poison` cannot be read until the returned function heals the reader."""
    traces = Reader.traces

    def broken(reader: Reader, event: AcceptedEvent) -> Any:
        found = traces(reader, event)
        if any(trace.value == "poison" for trace in found):
            raise ValueError("poison")
        return found

    monkeypatch.setattr(Reader, "traces", broken)
    return lambda: monkeypatch.setattr(Reader, "traces", traces)
