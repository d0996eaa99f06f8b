"""Files are sent in and imported as staff do it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from aiohttp import web
from fastapi import FastAPI

from perennial.common.operations import worker
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.imports.testing import MAPPING, key


@pytest.fixture
async def source(edge: Edge) -> str:
    """A source that may import."""
    return next(found.id for found in edge.access.sources.values() if found.may_import)


@pytest.fixture
def upload(admin: httpx.AsyncClient, source: str) -> Callable[..., Any]:
    """`await upload(HEADER + GOOD)`: the answer."""

    async def sent(content: str | bytes, **asked: str) -> httpx.Response:
        data = content.encode() if isinstance(content, str) else content
        headers = {"Content-Type": "text/csv"}
        return await admin.post("/v1/imports", content=data, params={"source_id": source, **asked}, headers=headers)

    return sent


@pytest.fixture
def do(admin: httpx.AsyncClient, live_runtime: ServiceRuntime, upload: Callable[..., Any]) -> Callable[..., Any]:
    """`await do("run", HEADER + GOOD)`: the operation when it is over."""

    async def done(verb: str, content: str | bytes | None = None, *, import_id: str = "", **body: Any) -> Any:
        import_id = import_id or (await upload(content)).json()["id"]
        started = await admin.post(f"/v1/imports/{import_id}/{verb}", json=body or {"mapping": MAPPING}, headers=key())
        assert started.status_code == 202, started.text
        while await worker.step_once(live_runtime):
            pass
        return (await admin.get(started.headers["Location"])).json()

    return done


@pytest.fixture
async def profile(live_runtime: ServiceRuntime, gateway: FastAPI) -> AsyncIterator[list[Any]]:
    """A profile service to whom everybody with an e-mail address is known; and what it was asked."""
    asked: list[Any] = []

    async def known(request: web.Request) -> web.Response:
        people = (await request.json())["people"]
        asked.append(people)
        assert request.headers["Authorization"].startswith("Bearer ")
        return web.json_response({"known": [any(said.startswith("email:") for said in one) for one in people]})

    app = web.Application()
    app.router.add_post("/v1/customers/known", known)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    live_runtime.settings.services["profile"] = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
    yield asked
    await runner.cleanup()
