"""A real upstream, with the proxy of a real gateway in front of it, over real sockets."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from perennial.common import problems
from perennial.common.auth import Authenticated, requires
from perennial.common.web.protocol import Protocol
from perennial.gateway import permissions
from perennial.gateway.edge import Edge
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable

SERVICE = "shop"
RULES = {
    ("GET", "/v1/guarded"): "things:read",
    ("GET", "/v1/me/things"): permissions.CUSTOMER,
    ("POST", "/v1/hooks/{source}"): permissions.PUBLIC,
    ("GET", "/v1/desk"): permissions.STAFF,
    ("GET", "/v1/unruled"): None,
}


router = APIRouter()


async def echo(request: Request, thing: str, principal: Authenticated) -> dict[str, Any]:
    """What the service saw."""
    return {
        "thing": thing,
        "query": request.url.query,
        "headers": dict(request.headers),
        "body": (await request.body()).decode("latin-1"),
        "principal": [principal.kind, principal.id, sorted(principal.scopes), str(principal.via)],
    }


router.get("/v1/things/{thing}", operation_id="get_thing")(echo)
router.post("/v1/things/{thing}", operation_id="post_thing")(echo)


@router.get("/v1/guarded")
async def guarded(_: Annotated[object, Depends(requires("things:read"))]) -> dict[str, Any]:
    return {}


@router.get("/v1/me/things")
async def mine(principal: Authenticated) -> dict[str, Any]:
    return {"via": str(principal.via), "kind": principal.kind}


@router.post("/v1/hooks/{source}", openapi_extra={"security": []})
async def hook(request: Request, source: str) -> dict[str, Any]:
    return {"authorization": request.headers.get("authorization"), "source": source}


@router.post("/v1/size")
async def size(request: Request) -> dict[str, int]:
    return {"size": sum([len(chunk) async for chunk in request.stream()])}


@router.get("/v1/stream")
async def stream() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 10_000

    return StreamingResponse(chunks(), headers={"Cache-Control": "max-age=60"})


@router.get("/v1/long")
async def long(length: int) -> Response:
    return Response(b"x" * length)


@router.get("/v1/redirect")
async def redirect() -> Response:
    return RedirectResponse("https://elsewhere.example/")


@router.get("/v1/slow")
async def slow() -> None:
    await asyncio.sleep(5)


@router.get("/v1/desk")
@router.get("/v1/unruled")
async def ruled() -> dict[str, Any]:
    return {}


@router.get("/v1/endless")
@router.post("/v1/endless")
async def endless(request: Request) -> Response:
    """An answer that ends when nobody reads it."""
    await request.body()
    state = request.app.state

    async def chunks() -> AsyncIterator[bytes]:
        state.said = 0
        try:
            while True:
                yield b"x" * 65_536
                state.said += 65_536
                await asyncio.sleep(0)
        finally:
            state.left.set()

    return StreamingResponse(chunks())


@router.get("/v1/broken")
async def broken(length: int = 1000) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("broken on purpose")

    return StreamingResponse(chunks(), headers={"Content-Length": str(length)})


def upstream(public_key: str) -> FastAPI:
    """A service."""
    app = FastAPI(
        redirect_slashes=False, generate_unique_id_function=lambda route: f"{route.path} {min(route.methods or ())}"
    )
    app.state.left = asyncio.Event()
    app.state.settings = type("Settings", (), {"internal_key": public_key})
    problems.install(app)
    app.include_router(router)
    return app


@contextlib.asynccontextmanager
async def serving(app: Any, port: int = 0, http: type[Protocol] = Protocol) -> AsyncIterator[int]:
    """A real server on a port."""
    config = uvicorn.Config(
        app, "127.0.0.1", port, http=http, ws="none", log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def shop(edge: Edge, key_pair: tuple[str, str]) -> AsyncIterator[FastAPI]:
    """The upstream, with the edge's proxy in front of it."""
    app = upstream(key_pair[1])
    async with serving(app) as port, proxied(edge, app, f"http://127.0.0.1:{port}"):
        yield app


@contextlib.asynccontextmanager
async def proxied(edge: Edge, app: FastAPI, url: str, **limits: Any) -> AsyncIterator[None]:
    before = edge.proxy
    chosen = Limits(**{"seconds": 0.5, "body_bytes": 1_000_000, **limits})
    edge.proxy = Proxy(RouteTable({SERVICE: app.openapi()}), {SERVICE: url}, edge.tokens, chosen, rule_of)
    yield
    await edge.proxy.close()
    edge.proxy = before


def rule_of(method: str, template: str) -> str | None:
    """Of made-up routes: whatever is not in the table asks for a scope."""
    return RULES.get((method, template), "things:use")


@pytest.fixture(name="upstream")
def _upstream(key_pair: tuple[str, str]) -> Callable[[], FastAPI]:
    """Make a service."""
    return lambda: upstream(key_pair[1])


@pytest.fixture(name="serving")
def _serving() -> Any:
    """Serve an application on a port."""
    return serving


@pytest.fixture(name="proxied")
def _proxied(edge: Edge) -> Any:
    """Put the proxy in front of an application."""
    return functools.partial(proxied, edge)
