"""What the gateway holds while it runs: keys, tokens, the way into the stream, the way to the services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import structlog

from perennial.common import notify
from perennial.common.db import lock
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.gateway.access import Access
from perennial.gateway.announcing import CHANNEL
from perennial.gateway.events.compose import Events
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.previews.compose import Previews
from perennial.gateway.principals import deps as principals
from perennial.gateway.principals.accounts import service as accounts
from perennial.gateway.principals.accounts.passwords import Passwords
from perennial.gateway.principals.authenticate import Authenticator
from perennial.gateway.principals.issuers.customers import Customers, Identity
from perennial.gateway.principals.keys import service as keys
from perennial.gateway.principals.oidc.provider import Provider
from perennial.gateway.principals.sessions.service import Logins
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable
from perennial.gateway.rates import Rates
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.sources import service as sources
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.service import Intake
from perennial.gateway.violations import deps as violations
from perennial.gateway.violations.keeper import Keeper
from perennial.gateway.violations.service import Replayer

log = structlog.get_logger()

FLUSH_SECONDS = 60.0


@dataclass
class Edge(principals.Edge, violations.Edge):
    """The handles of the gateway's routes, at `app.state.edge`."""

    runtime: Runtime
    settings: GatewaySettings
    access: Access
    tokens: Tokens
    authenticator: Authenticator
    logins: Logins
    provider: Provider | None
    identity: Identity
    intake: Intake
    replayer: Replayer
    rates: Rates
    proxy: Proxy
    previews: Previews
    events: Events


@asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[Edge]:
    """An edge whose keys are loaded and kept fresh."""
    settings = cast("GatewaySettings", runtime.settings)
    passwords = Passwords()
    await seed(runtime, settings, passwords)
    edge = _build(runtime, settings, passwords)
    try:
        await edge.access.refresh()
        async with _background(
            notify.listen(runtime, [CHANNEL]),
            edge.access.keep_fresh(),
            edge.intake.violations.run(),
            _flush_used(runtime, edge.access),
        ):
            yield edge
        with contextlib.suppress(Exception):
            await edge.access.principals.flush()
    finally:
        await edge.intake.violations.close()
        await edge.proxy.close()
        await edge.previews.close()
        await edge.events.close()
        await edge.identity.close()
        edge.logins.passwords.close()


@asynccontextmanager
async def _background(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def seed(runtime: Runtime, settings: GatewaySettings, passwords: Passwords) -> None:
    """Make the development source, key and owner that the environment asks for; the same again when they exist."""
    async with runtime.database.write() as session:
        await lock(session, runtime.name, "seed")
        if settings.dev_write_key:
            await sources.seed(session, settings.dev_write_key.get_secret_value())
        if settings.dev_api_key:
            await keys.seed(session, settings.dev_api_key.get_secret_value())
        if settings.dev_owner_email and settings.dev_owner_password:
            password = settings.dev_owner_password.get_secret_value()
            await accounts.seed(session, passwords, settings.dev_owner_email, password)


def _build(runtime: Runtime, settings: GatewaySettings, passwords: Passwords) -> Edge:
    access = Access(runtime, timedelta(seconds=settings.staff_idle_seconds))
    tokens = Tokens(settings.internal_private_key.get_secret_value())
    provider = Provider(settings) if settings.oidc_issuer else None
    identity = Identity(settings.services.get("identity"), tokens)
    customers = Customers(identity, settings.egress_allow_cidrs)
    publisher = Publisher(runtime.nats, seconds=settings.publish_seconds, in_flight_bytes=settings.in_flight_bytes)
    keeper = Keeper(
        runtime.database,
        rows_per_hour=settings.violations_per_hour,
        bytes_per_hour=settings.violations_bytes_per_hour,
        spool_bytes=settings.violations_spool_bytes,
    )
    limits = Limits(settings.proxy_seconds, settings.proxy_body_bytes, settings.body_seconds)
    return Edge(
        runtime=runtime,
        settings=settings,
        access=access,
        tokens=tokens,
        authenticator=Authenticator(access.principals, tokens, provider, customers),
        logins=Logins(runtime.database, passwords, settings),
        provider=provider,
        identity=identity,
        intake=Intake(access, publisher, keeper),
        replayer=Replayer(runtime.database, publisher),
        rates=Rates(
            settings.rate_per_principal,
            settings.rate_per_address,
            access.principals.rate_limit_of,
            settings.lookups_per_principal,
        ),
        proxy=Proxy(RouteTable(read_snapshots()), settings.services, tokens, limits),
        previews=Previews(settings.services, tokens),
        events=Events(settings.services.get("identity"), tokens, access.source_ids),
    )


async def _flush_used(runtime: Runtime, access: Access) -> None:
    while not await runtime.pause(FLUSH_SECONDS):
        try:
            await access.principals.flush()
        except Exception as error:
            if is_infrastructure(error):
                log.warning("principals.use_not_noted", error=repr(error))
            else:
                log.exception("principals.use_not_noted")
