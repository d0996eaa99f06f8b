"""Plain requests, answered past the framework, which takes longer over one than its work does.

A service names the routes that it has for them (`Service.plain`). Whatever is out of the ordinary about a request goes
to the route of the framework, as if nobody had looked at it: so what is refused, and how, is said in one place.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.auth import Principal, verify
from perennial.common.problems import Problem
from perennial.common.runtime import Runtime
from perennial.common.web.checks import unfit
from perennial.common.web.idempotency import Once, once_of, spelled

LONGEST_BODY = 16 * 1024
_BEARER = b"Bearer "
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_KEY = re.compile(rb"[A-Za-z0-9._:~-]{1,255}")
_READ = frozenset({b"authorization", b"content-encoding", b"content-length", b"content-type", b"idempotency-key"})


class Asked(NamedTuple):
    """A request whose form is plain: its principal may, its key is one, its body is of the model."""

    runtime: Runtime
    id: UUID
    body: Any
    once: Once


@dataclass(frozen=True)
class Plain:
    """A POST route with one id in its path, an Idempotency-Key, and a body; whoever has the scope may.

    `answer` gives the JSON of a 201, or None where it has done nothing: then the framework's route is asked.
    """

    path: str
    scope: str
    model: type[BaseModel]
    answer: Callable[[Asked], Awaitable[bytes | None]]


class _Known(NamedTuple):
    plain: Plain
    before: str
    name: str
    after: str
    route: Any


class Past:
    """Answers plain requests; all others go on. Pure ASGI, inside of what measures."""

    def __init__(self, app: ASGIApp, plains: Iterable[Plain], routes: Sequence[Any]) -> None:
        self._app = app
        self._known = [_known(plain, routes) for plain in plains]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it go on."""
        found = self._found(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        headers = None if found is None else _headers(scope)
        if found is None or headers is None:
            await self._app(scope, receive, send)
            return
        heard: list[Message] = []
        body = await _whole(receive, heard)
        asked = None if body is None else _asked(found, scope, headers, body)
        answer = None if asked is None else await found.plain.answer(asked)
        if answer is None:
            await self._app(scope, _again(heard, receive), send)
            return
        scope["route"] = found.route
        said = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 201, "headers": said})
        await send({"type": "http.response.body", "body": answer})

    def _found(self, scope: Scope) -> _Known | None:
        path = scope["path"]
        if scope["query_string"] or scope.get("root_path"):
            return None
        return next((each for each in self._known if path.startswith(each.before) and path.endswith(each.after)), None)


def _known(plain: Plain, routes: Sequence[Any]) -> _Known:
    """Raises StopIteration where the framework has no such route."""
    before, _, rest = plain.path.partition("{")
    name, _, after = rest.partition("}")
    route = next(each for each in routes if each.path == plain.path and "POST" in each.methods)
    return _Known(plain, before, name, after, route)


def _headers(scope: Scope) -> Mapping[bytes, bytes] | None:
    """What decides, if each of it was said once, and as most clients say it."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            if name in found:
                return None
            found[name] = value
    length = found.get(b"content-length", b"")
    if found.get(b"content-type") != b"application/json" or b"content-encoding" in found or not length.isdigit():
        return None
    return found if len(length) < 9 and int(length) <= LONGEST_BODY else None


async def _whole(receive: Receive, heard: list[Message]) -> bytes | None:
    while True:
        message = await receive()
        heard.append(message)
        if message["type"] != "http.request":
            return None
        if not message.get("more_body", False):
            return b"".join([each.get("body", b"") for each in heard])


def _again(heard: list[Message], receive: Receive) -> Receive:
    waiting = iter(heard)

    async def again() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return again


def _asked(found: _Known, scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> Asked | None:
    shown, key = headers.get(b"authorization", b""), headers.get(b"idempotency-key", b"")
    said = scope["path"][len(found.before) : -len(found.after)]
    if not shown.startswith(_BEARER) or not _KEY.fullmatch(key) or not _UUID.fullmatch(said):
        return None
    state = scope["app"].state
    try:
        principal = verify(shown[len(_BEARER) :].decode("ascii"), state.settings.internal_key)
        read = json.loads(body)
        if not _may(principal, found.plain.scope) or any(unfit(read)):
            return None
        model = found.plain.model.__pydantic_validator__.validate_python(read)
    except (Problem, ValidationError, ValueError, RecursionError):
        return None
    path = spelled(found.plain.path, {found.name: said})
    return Asked(state.runtime, UUID(said), model, once_of(principal, "POST", path, key.decode(), body))


def _may(principal: Principal, scope: str) -> bool:
    return principal.kind != "customer" and principal.may(scope)
