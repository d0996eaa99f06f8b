"""The way of requests to services: past the framework, which would try every route of the gateway's own first."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from perennial.common.web.app import Measured
from perennial.common.web.conditional import Conditional
from perennial.gateway.gate import Gate
from perennial.gateway.guard import Guard

PARAMETER = ""


class Direct:
    """What holds for every request, and then the proxy; paths of the gateway's own go to the framework."""

    def __init__(self, app: ASGIApp, own: Iterable[str], proxied: ASGIApp) -> None:
        self._app = app
        self._own = Paths(own)
        self._proxied = Measured(Conditional(Guard(Gate(proxied, own=()))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose the way."""
        if scope["type"] != "http" or scope["path"] in self._own:
            await self._app(scope, receive, send)
        else:
            await self._proxied(scope, receive, send)


class Paths:
    """The paths of some templates, as the framework would match them."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._root: dict[str, Any] = {}
        for template in templates:
            node = self._root
            for segment in template.split("/"):
                node = node.setdefault(PARAMETER if segment.startswith("{") else f"/{segment}", {})
            node["end"] = True

    def __contains__(self, path: str) -> bool:
        """Whether one of the templates means this path."""
        return _leads(self._root, path.split("/"), 0)


def _leads(node: dict[str, Any], segments: list[str], at: int) -> bool:
    if at == len(segments):
        return "end" in node
    literal = node.get(f"/{segments[at]}")
    if literal is not None and _leads(literal, segments, at + 1):
        return True
    other = node.get(PARAMETER)
    return other is not None and segments[at] != "" and _leads(other, segments, at + 1)


def templates_of(routes: Iterable[Any]) -> Iterator[str]:
    """The templates of routes, and of the routers among them."""
    for route in routes:
        path = getattr(route, "path", None)
        if path is not None:
            yield path
        else:
            yield from templates_of(route.original_router.routes)


def mount(app: FastAPI, proxied: ASGIApp) -> None:
    """Put the choice ahead of the framework's own layers."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Direct(build(), templates_of(app.router.routes), proxied)  # type: ignore[method-assign]
