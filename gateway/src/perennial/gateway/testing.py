"""What tests of the gateway share; not imported at run time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from perennial.common.contracts.gateway import STREAM, AcceptedEvent
from perennial.common.service import ServiceRuntime
from perennial.common.web.app import create_app
from perennial.gateway.settings import GatewaySettings

WRITE_KEY = "wk_test"
API_KEY = "psk_test_secret"

Stored = Callable[[], Awaitable[list[AcceptedEvent]]]
Send = Callable[..., Awaitable[Any]]


def track(**changes: Any) -> dict[str, Any]:
    """A valid event."""
    return {"type": "track", "event": "Product Viewed", "userId": "u1", "messageId": "m1", **changes}


@asynccontextmanager
async def started(runtime: ServiceRuntime, settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    """The real application, started on a runtime."""
    runtime.settings = settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.runtime = runtime
        yield

    app = create_app(runtime.service, settings, lifespan)
    async with app.router.lifespan_context(app):
        yield app


async def messages(runtime: ServiceRuntime) -> list[RawStreamMsg]:
    """Every message in INGEST."""
    found = []
    last = (await runtime.js.stream_info(STREAM)).state.last_seq
    for seq in range(1, last + 1):
        try:
            found.append(await runtime.js.get_msg(STREAM, seq))
        except NotFoundError:
            continue
    return found
