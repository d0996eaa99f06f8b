"""The gateway's parts, as common assembles them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from perennial.common.contracts.gateway import ErasureCompleted, IntakeMeasured
from perennial.common.service import Service
from perennial.gateway import direct, edge, gate, guard
from perennial.gateway.announcing import CHANNEL
from perennial.gateway.events import compose as events
from perennial.gateway.imports import api as imports
from perennial.gateway.imports import service as importing
from perennial.gateway.imports import steps as import_steps
from perennial.gateway.models import Base
from perennial.gateway.openapi import api as openapi
from perennial.gateway.plans import api as plans
from perennial.gateway.previews import compose as previews
from perennial.gateway.principals.accounts import api as accounts
from perennial.gateway.principals.authenticate import of_request
from perennial.gateway.principals.issuers import api as issuers
from perennial.gateway.principals.keys import api as keys
from perennial.gateway.principals.oidc import api as oidc
from perennial.gateway.principals.roles import api as roles
from perennial.gateway.principals.sessions import api as sessions
from perennial.gateway.principals.sessions.jobs import SWEEP_SESSIONS
from perennial.gateway.privacy import api as exports
from perennial.gateway.privacy import export
from perennial.gateway.privacy.declared import PRIVACY
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.sources import api as sources
from perennial.gateway.tracking import api as tracking
from perennial.gateway.violations import api as violations
from perennial.gateway.violations import operation as replays
from perennial.gateway.violations.jobs import SWEEP_VIOLATIONS
from perennial.gateway.violations.measuring import MEASURE

ROUTERS = (
    sources.router, violations.router, plans.router, keys.router, issuers.router, sessions.router, accounts.router,
    roles.router, oidc.router, imports.router, exports.router,
)  # fmt: skip


def mount(app: FastAPI) -> None:
    """Add what is not a router: tracking, documents, and the proxy for every path that nobody else answers."""
    app.add_middleware(gate.Gate, own=_with_body())
    openapi.mount(app)
    _refuse_other_methods(app)
    proxied = _proxied(app)
    app.router.default = proxied
    app.add_middleware(guard.Guard)
    direct.mount(app, proxied)
    tracking.mount(app)
    started = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starting: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        async with started(starting) as state, edge.running(starting.state.runtime) as opened:
            starting.state.edge = opened
            starting.state.authenticate = of_request
            yield state

    app.router.lifespan_context = lifespan  # type: ignore[assignment]


def _with_body() -> list[APIRoute]:
    routes = [route for router in ROUTERS for route in router.routes]
    return [route for route in routes if isinstance(route, APIRoute) and route.body_field is not None]


def _refuse_other_methods(app: FastAPI) -> None:
    methods: dict[str, set[str]] = {}
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                methods.setdefault(route.path, set()).update(route.methods or ())
    app.router.routes.extend(Route(path, gate.NotAllowed(allowed)) for path, allowed in methods.items())


def _proxied(app: FastAPI) -> Any:
    not_found = app.router.default

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await not_found(scope, receive, send)
        elif events.asked(scope):
            await app.state.edge.events.answer(app.state.edge.proxy, scope, receive, send)
        elif previews.asked(scope):
            await app.state.edge.previews.answer(app.state.edge.proxy, scope, receive, send)
        else:
            await app.state.edge.proxy(scope, receive, send)

    return proxied


SERVICE = Service(
    name="gateway",
    title="Perennial gateway",
    metadata=Base.metadata,
    settings=GatewaySettings,
    routers=ROUTERS,
    emits=(ErasureCompleted, IntakeMeasured),
    keeps_map=False,
    privacy=PRIVACY,
    operations={
        replays.KIND: replays.replay,
        export.KIND: export.export,
        importing.UPLOAD: importing.taken,
        importing.CHECK: import_steps.check,
        importing.RUN: import_steps.run,
    },
    jobs=(SWEEP_VIOLATIONS, SWEEP_SESSIONS, MEASURE),
    channels=(CHANNEL,),
    mount=mount,
)
