"""What holds for every request before anything else looks at it: a sane form and size, and an id to find it by."""

from collections.abc import Iterable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.ids import uuid7_text
from perennial.common.problems import Problem, respond, surprised
from perennial.common.web.app import request_id_of
from perennial.gateway import cors, sunset
from perennial.gateway.problems import problem
from perennial.gateway.proxy.routes import is_customers_own

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
_ONCE = frozenset({b"authorization", b"content-encoding", b"content-length", b"host", b"transfer-encoding"})
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")

Headers = list[tuple[bytes, bytes]]


class Guard:
    """Refuses what is out of form; gives every request an id, and every answer the headers that all of them bear."""

    def __init__(self, app: ASGIApp, deprecated: sunset.Table = sunset.DEPRECATED) -> None:
        self._app = app
        self._deprecated = deprecated

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = name(scope)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = completed(message.get("headers", ()), named, scope, self._deprecated)
            await send(message)

        fault = fault_of(scope)
        if fault is not None:
            await refuse(fault, scope, receive, sending)
            return
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if started:
                raise
            await surprised(scope["path"], error)(scope, receive, sending)


def name(scope: Scope) -> Headers:
    """Give a request its id, for logs and for those who come after; what every answer to it bears."""
    headers: Headers = list(scope["headers"])
    scope["headers"] = headers  # the server's own list still grows: by trailers
    request_id = request_id_of(headers) or uuid7_text()
    scope.setdefault("state", {})["request_id"] = request_id
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return [(b"x-request-id", request_id.encode()), _NOSNIFF, _NO_STORE]


def completed(
    said: Iterable[tuple[bytes, bytes]], own: Headers, scope: Scope, deprecated: sunset.Table = sunset.DEPRECATED
) -> Headers:
    """The headers of an answer, with those that all of them bear and it has not said itself."""
    made = list(said)
    names = {name for name, _ in made}
    made += [field for field in own if field[0] not in names]
    if deprecated:
        template = getattr(scope.get("route"), "path", "")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = deprecated.get((method, template))
        made += sunset.headers(found) if found else []
    return made


async def refuse(error: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem that a page of any origin may read, where its path has that."""
    response = respond(error)
    if is_customers_own(scope["path"]):
        response.raw_headers.extend(cors.CUSTOMER_ANSWER)
    else:
        response.raw_headers.extend(cors.ANSWER)
    await response(scope, receive, send)


def fault_of(scope: Scope) -> Problem | None:
    """What is wrong with the form of a request, whoever it is for."""
    headers: Headers = scope["headers"]
    if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return problem(414, "uri_too_long", "the path and query are too long")
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return problem(431, "headers_too_large", "the headers are too many or too large")
    once = [name for name, _ in headers if name in _ONCE]
    if len(once) != len(set(once)):
        twice = next(name for name in once if once.count(name) > 1)
        return problem(400, "header_repeated", f"{twice.decode()} must be sent once")
    sent = dict(headers)
    encoding = sent.get(b"transfer-encoding")
    if encoding is not None and (encoding.strip().lower() != b"chunked" or scope["http_version"] != "1.1"):
        return problem(400, "invalid_transfer_encoding", "Transfer-Encoding must be chunked, in HTTP/1.1")
    if b"upgrade" in sent:
        return _upgrade(sent)
    return None


def _upgrade(sent: dict[bytes, bytes]) -> Problem | None:
    """Other protocols are not spoken. A mere offer is ignored, but the server would lose a body that comes with it."""
    if sent[b"upgrade"].strip().lower() == b"websocket":
        return problem(400, "upgrade_unsupported", "WebSocket is not supported")
    if b"transfer-encoding" in sent or sent.get(b"content-length", b"0") != b"0":
        return problem(400, "upgrade_unsupported", "Upgrade must not be sent with a body")
    return None
