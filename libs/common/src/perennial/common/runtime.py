"""What a running process holds: its settings, its database, its connection to NATS."""

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, Self

import nats
import structlog
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from perennial.common.db import Database
from perennial.common.settings import CommonSettings

log = structlog.get_logger()

PENDING_BYTES = 64 * 1024 * 1024  # nats-py's 2 MiB overflows with an error under one busy publisher


async def connect_nats(url: str, name: str) -> Client:
    """Connect to one of the servers, which commas separate, and never give up; nothing is buffered meanwhile."""

    async def noted(error: Exception) -> None:
        log.warning("nats.error", error=repr(error))

    async def lost() -> None:
        log.warning("nats.disconnected")

    async def found() -> None:
        log.info("nats.reconnected")

    return await nats.connect(
        url.split(","),
        name=f"perennial-{name}",
        error_cb=noted,
        disconnected_cb=lost,
        reconnected_cb=found,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,
        pending_size=PENDING_BYTES,
        ping_interval=20,
        connect_timeout=5,
    )


class Named(Protocol):
    """What the handles know of the service. Whoever asks for more wants a `ServiceRuntime`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def stream(self) -> str:
        """The stream of its facts."""


@dataclass
class Runtime:
    """The handles that handlers, tasks and routes share in one process; `works` where it runs the worker's loops."""

    service: Named
    settings: CommonSettings
    database: Database
    nats: Client
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    works: bool = False
    streams_found: bool = False
    beats: dict[str, float] = field(default_factory=dict)
    wakes: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @cached_property
    def js(self) -> JetStreamContext:
        """JetStream, with a time-out that covers a leader election."""
        return self.nats.jetstream(timeout=10)

    def wake(self, channel: str) -> asyncio.Event:
        """The event that is set when somebody notified the channel (see `notify`)."""
        return self.wakes.setdefault(channel, asyncio.Event())

    def beat(self, loop: str) -> None:
        """Say that a loop is alive; one that is silent for two minutes makes the process unhealthy."""
        self.beats[loop] = asyncio.get_running_loop().time()

    async def pause(self, seconds: float) -> bool:
        """Sleep unless the process is stopping; true when it is."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    @classmethod
    async def open(cls, service: Named, settings: CommonSettings) -> Self:
        """Connect to everything. Raises when NATS cannot be reached; Postgres is connected on first use."""
        database = Database.connect(settings, service.name)
        client = await connect_nats(settings.nats_url.get_secret_value(), service.name)
        return cls(service, settings, database, client)

    async def close(self) -> None:
        """Release every connection."""
        if not self.nats.is_closed:
            await self.nats.close()
        await self.database.close()
