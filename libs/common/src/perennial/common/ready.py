"""Whether a process may be given work: its dependencies answer, and are what this code needs."""

import asyncio
import time
from functools import cache
from importlib import resources

import structlog
from nats.js.errors import NotFoundError
from sqlalchemy import text

from perennial.common.contracts.identity import RESOLVED_STREAM
from perennial.common.messaging.worker import CONSUMERS, hears_events, hot_durable
from perennial.common.service import Service, ServiceRuntime

log = structlog.get_logger()

READY_SECONDS = 1.0


class Ready:
    """What the dependencies said last: asked once a second at most, since anybody may ask us."""

    def __init__(self) -> None:
        self._found = {"runtime": "starting"}
        self._until = float("-inf")
        self._asking = asyncio.Lock()

    async def now(self, runtime: ServiceRuntime | None) -> dict[str, str]:
        """The same as `readiness`, at most a second old; what has changed is logged."""
        async with self._asking:
            if runtime is None or time.monotonic() < self._until:
                return self._found
            found = await readiness(runtime)
            if found != self._found and set(found.values()) != {"ok"}:
                log.warning("readyz.unavailable", **found)
            self._found, self._until = found, time.monotonic() + READY_SECONDS
        return self._found


async def readiness(runtime: ServiceRuntime) -> dict[str, str]:
    """What each dependency says of itself: `ok` or why not."""
    found = {"nats": "ok" if runtime.nats.is_connected else "not connected", "database": await _database(runtime)}
    if runtime.stopping.is_set():
        found["process"] = "stopping"
    if runtime.works and not runtime.streams_found and runtime.nats.is_connected:
        found["streams"] = await _streams(runtime)
        runtime.streams_found = found["streams"] == "ok"
    return found


async def _database(runtime: ServiceRuntime) -> str:
    try:
        async with asyncio.timeout(3), runtime.database.read() as session:
            version = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
    except Exception as error:  # noqa: BLE001 (whatever it is, we are not ready, and say why)
        return repr(error)[:200]
    wanted = needed(runtime.name)
    return "ok" if version >= wanted else f"the schema is at {version}, this code needs {wanted}"


@cache
def needed(name: str) -> str:
    """The revision that a service's code needs; on a later one it runs too, since migrations expand first."""
    try:
        versions = resources.files(f"perennial.{name}.migrations").joinpath("versions")
    except ModuleNotFoundError:
        return ""
    return max((path.name[:4] for path in versions.iterdir() if path.name[:4].isdigit()), default="")


async def _streams(runtime: ServiceRuntime) -> str:
    """Whether what a worker reads and writes is there; asked until it is, since nobody takes it away afterwards."""
    for stream, consumer in _wanted(runtime.service):
        try:
            async with asyncio.timeout(3):
                await (runtime.js.consumer_info(stream, consumer) if consumer else runtime.js.stream_info(stream))
        except (NotFoundError, TimeoutError) as error:
            return f"{stream} {consumer}: {error!r}"[:200]
    return "ok"


def _wanted(found: Service) -> list[tuple[str, str]]:
    own = [(found.stream, "")] if found.emits else []
    hot = [(RESOLVED_STREAM, hot_durable(found.name, number)) for number in range(CONSUMERS)]
    return own + (hot if hears_events(found) else [])
