"""`/openapi.json`, `/asyncapi.json` and `/docs`: written once per process, the same bytes for everybody."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perennial.gateway import VERSION
from perennial.gateway.openapi import tracking
from perennial.gateway.openapi.asyncapi import asyncapi
from perennial.gateway.openapi.merge import merge
from perennial.gateway.openapi.snapshots import PACKAGE, read_hears, read_snapshots

# No inline script, nothing from any other host: the page works in a closed network.
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'"
_PAGE = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs/docs.css": ("docs.css", "text/css; charset=utf-8"),
}


def mount(app: FastAPI) -> None:
    """Add the documents, in the place of the gateway's own."""
    own = app.openapi

    def merged() -> dict[str, Any]:
        mine = own()
        mine = {**mine, "paths": {**mine.get("paths", {}), **tracking.paths()}}
        return merge({"gateway": mine, **read_snapshots()}, VERSION)

    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) != app.openapi_url]
    _serve(app, "/openapi.json", "application/json", lambda: json.dumps(merged()).encode())
    _serve(app, "/asyncapi.json", "application/json", lambda: json.dumps(asyncapi(VERSION, read_hears())).encode())
    for path, (name, media_type) in _PAGE.items():
        _serve(app, path, media_type, (resources.files(PACKAGE) / name).read_bytes)


def _serve(app: FastAPI, path: str, media_type: str, write: Callable[[], bytes]) -> None:
    written: list[bytes] = []
    writing = asyncio.Lock()

    async def answer(request: Request) -> Response:
        async with writing:
            if not written:
                written.append(await asyncio.to_thread(write))  # a second or so, in which others are served
        tag = f'"{hashlib.sha256(written[0]).hexdigest()[:32]}"'
        headers = {
            "ETag": tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(written[0], media_type=media_type, headers=headers)

    app.router.routes.append(Route(path, answer, methods=["GET"], include_in_schema=False))
