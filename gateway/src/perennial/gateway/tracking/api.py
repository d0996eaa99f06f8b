"""The tracking endpoints as bare ASGI: any content type, any trailing slash, never a redirect."""

import re
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import msgspec
import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from perennial.common.failures import is_infrastructure
from perennial.common.problems import Problem, respond
from perennial.common.web.app import duration
from perennial.gateway import cors, guard
from perennial.gateway.problems import problem
from perennial.gateway.rates import UNKNOWN, client_address
from perennial.gateway.tracking import body, documents
from perennial.gateway.tracking.refusal import Refusal
from perennial.gateway.tracking.service import Outcome, Upload

log = structlog.get_logger()

BATCH_BYTES = 512_000
SINGLE_BYTES = 34 * 1024
BATCH_PATHS = ("/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch")
GONE = 499  # the client, before its answer; in the metrics only
DISCARDED_PATHS = ("/v1/m", "/rsaMetrics")
TYPES = ("identify", "track", "page", "screen", "group", "alias")
SINGLE_PATHS = {
    path: kind
    for kind in TYPES
    for path in (f"/v1/{kind}", f"/v1/{kind[0]}", f"/api/s/{kind}", f"/api/s/s2s/{kind}")  # the last two: @jitsu/js
}
_SETTINGS = re.compile(r"/v1/projects/([^/]+)/settings/?")

Answer = tuple[int, cors.Headers, bytes]
Handler = Callable[[Scope, Receive], Awaitable[Answer]]
_SUCCESS = b'{"success":true,"accepted":1,"rejected":[]}'


class Endpoint:
    """One path: preflight, method, errors as problems, CORS on all of them, and what the guard gives every answer."""

    def __init__(self, path: str, handler: Handler, methods: tuple[str, ...] = ("POST",)) -> None:
        self.path = path
        self._route = SimpleNamespace(path=path)
        self._handler = handler
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever happens, the browser may read the answer."""
        started, status = time.perf_counter(), GONE
        scope["route"] = self._route
        own = guard.name(scope)
        try:
            status, headers, content = await self._answer(scope, receive)
            headers = guard.completed([*headers, *cors.allowed(scope)], own, scope)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
        except ClientDisconnect:
            return
        finally:
            labels = {"route": self.path, "method": scope["method"], "status": status}
            duration.record(time.perf_counter() - started, labels)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        try:
            if (fault := guard.fault_of(scope)) is not None:
                raise fault
            if scope["method"] == "OPTIONS":
                return 204, cors.TRACKING_PREFLIGHT, b""
            if scope["method"] not in self._methods:
                raise Refusal(405, "method_not_allowed", f"method must be {' or '.join(self._methods)}")
            status, headers, content = await self._handler(scope, receive)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 (the error page of the framework bears no CORS headers)
            status, headers, content = self._problem(error, scope["path"])
        return status, [*headers, *cors.EXPOSED], content

    def _problem(self, error: Exception, path: str) -> Answer:
        found = error if isinstance(error, Problem) else self._refused(error, path)
        response = respond(found)
        return response.status_code, response.raw_headers, bytes(response.body)

    def _refused(self, error: Exception, path: str) -> Problem:
        refusal = error if isinstance(error, Refusal) else _unexpected(error, path)
        headers = dict(refusal.headers)
        if refusal.retry_after:
            headers["Retry-After"] = str(refusal.retry_after)
        if refusal.status == 405:
            headers["Allow"] = ", ".join([*self._methods, "OPTIONS"])
        return problem(refusal.status, refusal.code, refusal.message, headers)


def _unexpected(error: Exception, path: str) -> Refusal:
    if is_infrastructure(error):
        log.warning("request.unavailable", path=path, error=repr(error))
        return Refusal(503, "unavailable", "a part of the platform is not available, send the events again")
    log.error("request.failed", path=path, exc_info=error)
    return Refusal(500, "internal_error", "an unexpected error; it has been logged")


def _uploads(kind: str | None) -> Handler:
    limit = BATCH_BYTES if kind is None else SINGLE_BYTES

    async def take(scope: Scope, receive: Receive) -> Answer:
        edge = scope["app"].state.edge
        headers = dict(scope["headers"])
        content = await body.read(receive, headers, limit, edge.settings.body_seconds)
        address = client_address(scope, headers, edge.settings.trusted_proxies)
        upload = Upload(content, headers, scope["query_string"], kind, None if address == UNKNOWN else address)
        _note_retry(headers.get(b"x-retry-count", b""), scope["path"])
        return _answer(await edge.intake.accept(upload), single=kind is not None)

    return take


def _note_retry(count: bytes, path: str) -> None:
    """What SDKs send again is worth knowing of; nothing depends on it."""
    if count and len(count) < 4 and count.isdigit() and int(count):
        log.info("ingest.retried", path=path, count=int(count))


def _answer(outcome: Outcome, *, single: bool) -> Answer:
    headers = [(name.lower().encode(), value.encode()) for name, value in outcome.headers.items()]
    if single and outcome.rejected:
        (only,) = outcome.rejected
        raise Refusal(413 if only.code == "event_too_large" else 400, only.code, only.message, outcome.headers)
    if single:
        return documents.json_answer(_SUCCESS, headers)
    rejected = [
        {"index": item.at, "messageId": item.message_id, "code": item.code, "message": item.message}
        for item in outcome.rejected
    ]
    said = {"success": True, "accepted": outcome.accepted, "rejected": rejected}
    return documents.json_answer(msgspec.json.encode(said), headers)


async def _discard(scope: Scope, receive: Receive) -> Answer:
    await body.read(receive, {}, BATCH_BYTES, scope["app"].state.edge.settings.body_seconds)
    return documents.json_answer(b'{"success":true}')


class Tracking:
    """Answers the tracking paths ahead of all middleware, whose layers would cost half as much as the rest does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        handlers = {path: _uploads(None) for path in BATCH_PATHS}
        handlers |= {path: _uploads(kind) for path, kind in SINGLE_PATHS.items()}
        handlers |= dict.fromkeys(DISCARDED_PATHS, _discard)
        endpoints = [Endpoint(path, handler) for path, handler in handlers.items()]
        endpoints.append(Endpoint("/sourceConfig", documents.source_config, ("GET", "HEAD")))
        self._endpoints = {spelling: it for it in endpoints for spelling in (it.path, f"{it.path}/")}
        self._settings = Endpoint("/v1/projects/{key}/settings", documents.settings, ("GET", "HEAD"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        endpoint = self._endpoints.get(path)
        if endpoint is None and (named := _SETTINGS.fullmatch(path)):
            scope["path_params"] = {"key": named[1]}
            endpoint = self._settings
        await (endpoint or self._app)(scope, receive, send)


def mount(app: FastAPI) -> None:
    """Add every tracking path, with and without a trailing slash, ahead of everything else."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Tracking(build())  # type: ignore[method-assign]
