"""What the gateway holds while it runs: keys, tokens, the way into the stream, the way to the services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, cast

import structlog
from fastapi import Depends, Request

from perennial.common import notify
from perennial.common.db import lock
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.gateway.access import Access
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.principals import queries as principal_queries
from perennial.gateway.principals import service as principals
from perennial.gateway.principals.authenticate import Authenticator
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.sources import service as sources
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.service import Intake

log = structlog.get_logger()

FLUSH_SECONDS = 60.0


@dataclass
class Edge:
    """The handles of the gateway's routes, at `app.state.edge`."""

    runtime: Runtime
    settings: GatewaySettings
    access: Access
    tokens: Tokens
    authenticator: Authenticator
    intake: Intake
    proxy: Proxy


@asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[Edge]:
    """An edge whose keys are loaded and kept fresh."""
    settings = cast("GatewaySettings", runtime.settings)
    await seed(runtime, settings)
    edge = _build(runtime, settings)
    try:
        await edge.access.refresh()
        async with _background(
            notify.listen(runtime),
            edge.access.keep_fresh(),
            _flush_used(runtime, edge.authenticator),
        ):
            yield edge
        with contextlib.suppress(Exception):
            await _flush(runtime, edge.authenticator)
    finally:
        await edge.proxy.close()


@asynccontextmanager
async def _background(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def seed(runtime: Runtime, settings: GatewaySettings) -> None:
    """Make the development source and key that the environment asks for; the same again when they exist."""
    async with runtime.database.write() as session:
        await lock(session, runtime.name, "seed")
        if settings.dev_write_key:
            await sources.seed(session, settings.dev_write_key.get_secret_value())
        if settings.dev_api_key:
            await principals.seed(session, settings.dev_api_key.get_secret_value())


def _build(runtime: Runtime, settings: GatewaySettings) -> Edge:
    access = Access(runtime)
    tokens = Tokens(settings.internal_private_key.get_secret_value())
    authenticator = Authenticator(access, tokens)
    publisher = Publisher(runtime.nats, seconds=settings.publish_seconds, in_flight_bytes=settings.in_flight_bytes)
    limits = Limits(settings.proxy_seconds, settings.proxy_body_bytes)
    return Edge(
        runtime=runtime,
        settings=settings,
        access=access,
        tokens=tokens,
        authenticator=authenticator,
        intake=Intake(access, publisher, runtime.database),
        proxy=Proxy(RouteTable(read_snapshots()), settings.services, authenticator, tokens, limits),
    )


async def _flush_used(runtime: Runtime, authenticator: Authenticator) -> None:
    while not await runtime.pause(FLUSH_SECONDS):
        try:
            await _flush(runtime, authenticator)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("api_keys.use_not_noted", error=repr(error))
            else:
                log.exception("api_keys.use_not_noted")


async def _flush(runtime: Runtime, authenticator: Authenticator) -> None:
    used = authenticator.used.copy()
    if used:
        async with runtime.database.write() as session:
            await principal_queries.mark_used(session, used)
        authenticator.used.clear()


def edge_of(request: Request) -> Edge:
    """The running edge."""
    edge: Edge = request.app.state.edge
    return edge


EdgeOf = Annotated[Edge, Depends(edge_of)]
