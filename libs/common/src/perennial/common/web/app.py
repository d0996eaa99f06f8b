"""The application factory: routes, problems, health, metrics."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import metrics
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common import problems
from perennial.common.audit import api as audit
from perennial.common.operations import api as operations
from perennial.common.preview import api as preview
from perennial.common.privacy import api as privacy
from perennial.common.ready import Ready
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.settings import CommonSettings
from perennial.common.web import documents
from perennial.common.web.checks import checked
from perennial.common.web.conditional import Conditional
from perennial.common.web.plain import Past

log = structlog.get_logger()
duration = metrics.get_meter("perennial").create_histogram(
    "perennial.http.duration",
    unit="s",
    explicit_bucket_boundaries_advisory=[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
)

STALLED_SECONDS = 120.0
METRICS_SECONDS = 1.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def request_id_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The request id that the caller sent, if it is harmless to write into logs."""
    sent = next((value for name, value in headers if name == b"x-request-id"), b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else None


class Measured:
    """Requests by route template, method and status; pure ASGI, because BaseHTTPMiddleware costs most of the speed.

    What is logged meanwhile, and a problem's `instance`, bear the id of the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Time one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        request_id = request_id_of(scope["headers"])
        if request_id is not None:
            structlog.contextvars.bind_contextvars(request_id=request_id)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            labels = {"route": route, "method": scope["method"], "status": status}
            duration.record(time.perf_counter() - started, labels)


def create_app(service: Service, settings: CommonSettings | None, lifespan: Lifespan, *, api: bool = True) -> FastAPI:
    """The HTTP side of a process; a worker-only process serves health and metrics alone."""
    app = FastAPI(
        title=service.title,
        version="1",
        openapi_url="/openapi.json" if api else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: f"{service.name}_{route.name}",
        telemetry={"tracing": False, "metrics": False, "logs": False},  # a third of a small request; see `telemetry`
    )
    app.state.settings = settings
    problems.install(app)
    _health(app)
    if api:
        for router in _routers(service):
            app.include_router(router, responses=problems.documented(), dependencies=[Depends(checked)])
        documents.install(app)
        if service.plain:
            app.add_middleware(Past, plains=service.plain, routes=_routes(service))
        if service.mount is not None:
            service.mount(app)
    app.add_middleware(Conditional)
    app.add_middleware(Measured)
    return app


def _routers(service: Service) -> list[APIRouter]:
    own = [operations.router(service.name)] if service.operations else []
    return [*service.routers, audit.router(service.name), preview.router(service), privacy.router(service), *own]


def _routes(service: Service) -> list[Any]:
    return [route for router in service.routers for route in router.routes]


def _health(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz(request: Request) -> Response:
        """Alive: the loop turns and no task of it has stalled."""
        runtime: Runtime | None = getattr(request.app.state, "runtime", None)
        now = asyncio.get_running_loop().time()
        stalled = [name for name, at in (runtime.beats if runtime else {}).items() if now - at > STALLED_SECONDS]
        return JSONResponse({"status": "stalled" if stalled else "ok", "stalled": stalled}, 503 if stalled else 200)

    ready = Ready()

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> Response:
        """Ready: Postgres and NATS answer, schema and streams are what this code needs. The log has why not."""
        found = await ready.now(getattr(request.app.state, "runtime", None))
        said = {name: "ok" if value == "ok" else "unavailable" for name, value in found.items()}
        status = "unavailable" if "unavailable" in said.values() else "ok"
        return JSONResponse({"status": status, **said}, 200 if status == "ok" else 503)

    written, written_at = b"", float("-inf")

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        """Prometheus text format, written once a second at most: it blocks the loop, and anybody may ask for it."""
        nonlocal written, written_at
        now = time.monotonic()
        if now - written_at >= METRICS_SECONDS:
            written, written_at = generate_latest(), now
        return Response(written, media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
    """For documents: an application that is never started."""
    yield


def document(service: Service) -> dict[str, object]:
    """A service's OpenAPI 3.1 document, without starting it."""
    return create_app(service, None, no_lifespan).openapi()
