"""Problems, principals, pages, idempotency, ETags: what every route relies on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from structlog.testing import capture_logs

from perennial.common.auth import CustomerVia, Principal, mint, requires
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.probe import PROBE
from perennial.common.web import Idempotent, NotFound, Page, PageQuery, Write, paged
from perennial.common.web.app import create_app, no_lifespan
from perennial.common.web.etags import IfMatch, match, tag

router = APIRouter()


running, go_on = asyncio.Event(), asyncio.Event()  # what the slow thing says and waits for


class ThingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=10)
    size: int = 1


class ThingOut(BaseModel):
    id: str
    name: str


@router.post("/v1/things", status_code=201)
async def create(
    body: ThingIn, once: Idempotent, session: Write, who: Annotated[Principal, Depends(requires("things:write"))]
) -> ThingOut:
    async def work() -> ThingOut:
        if body.name == "slow":
            running.set()
            await go_on.wait()
        made = ThingOut(id=str(uuid7()), name=body.name)
        await session.execute(text("INSERT INTO seen VALUES (:id, :name, 1)"), {"id": made.id, "name": made.name})
        return made

    return await once.run(session, work)  # type: ignore[return-value]


@router.get("/v1/things")
async def listing(page: PageQuery) -> Page[int]:
    start = int(page.after[0]) if page.after else 0
    rows = list(range(start, 7))[: page.limit + 1]
    return paged(rows, page, lambda item: [item + 1])


@router.put("/v1/things/{name}")
async def change(name: str, expected: IfMatch, response: Response) -> dict[str, str]:
    if name == "none":
        raise NotFound("name: there is no such thing", pointer="/name")
    match(expected, 3)
    tag(response, 4)
    return {"name": name}


@router.get("/v1/me/thing")
async def mine(via: CustomerVia) -> dict[str, str]:
    return {"via": str(via)}


@router.get("/v1/crash")
async def crash() -> None:
    raise ZeroDivisionError


@router.get("/v1/outage")
async def outage() -> None:
    raise ConnectionRefusedError


PROBE_API = PROBE.__class__(name="probe", title="Probe", metadata=PROBE.metadata, routers=(router,))


@pytest.fixture
async def http(
    settings: CommonSettings, committed: Database, token: Callable[..., str]
) -> AsyncIterator[httpx.AsyncClient]:
    app: FastAPI = create_app(PROBE_API, settings, no_lifespan)
    app.state.runtime = ServiceRuntime(PROBE_API, settings, committed, nats=None)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token('things:*')}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://probe", headers=headers) as client:
        yield client


def is_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance", "code", "message"} <= set(body)
    assert (body["status"], body["code"], body["message"]) == (status, code, body["detail"])
    return body


async def post(http: httpx.AsyncClient, body: Any, key: str | None = None, **headers: str) -> httpx.Response:
    extra = {"Idempotency-Key": key} if key is not None else {}
    return await http.post("/v1/things", json=body, headers={**extra, **headers})


async def test_every_error_is_a_problem_that_names_the_field(http: httpx.AsyncClient) -> None:
    body = is_problem(await post(http, {"name": "x" * 11}, "k"), 422, "invalid_request")
    assert body["errors"][0]["pointer"] == "/name"
    assert "name" in body["message"]
    body = is_problem(await post(http, {"name": "x", "colour": 1}, "k"), 422, "invalid_request")
    assert body["errors"][0]["pointer"] == "/colour"
    broken = await http.post("/v1/things", content=b"{", headers={"Content-Type": "application/json"})
    is_problem(broken, 400, "invalid_json")
    is_problem(await http.get("/nowhere"), 404, "not_found")
    wrong = await http.delete("/v1/things")
    is_problem(wrong, 405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"] or "POST" in wrong.headers["allow"]
    is_problem(await http.get("/v1/crash"), 500, "internal_error")
    away = await http.get("/v1/outage")
    is_problem(away, 503, "unavailable")
    assert int(away.headers["retry-after"]) > 0


async def test_only_the_gateways_token_opens_a_door(
    http: httpx.AsyncClient, token: Callable[..., str], key_pair: tuple[str, str]
) -> None:
    thing = {"name": "x"}
    del http.headers["Authorization"]
    is_problem(await post(http, thing, "k"), 401, "unauthorized")
    for bad in ("Bearer nonsense", f"Bearer {token('things:*')}x", "Basic abc", f"Bearer {_expired(key_pair[0])}"):
        refused = await post(http, thing, "k", Authorization=bad)
        is_problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"].startswith("Bearer")
    few = await post(http, thing, "k", Authorization=f"Bearer {token('other:read')}")
    assert "things:write" in is_problem(few, 403, "insufficient_scope")["detail"]
    via = uuid7()
    me = await http.get("/v1/me/thing", headers={"Authorization": f"Bearer {token(via=via)}"})
    assert me.json() == {"via": str(via)}
    not_me = await http.get("/v1/me/thing", headers={"Authorization": f"Bearer {token('*')}"})
    is_problem(not_me, 403, "customer_token_required")
    is_problem(await post(http, thing, "k", Authorization=f"Bearer {token(via=via)}"), 403, "insufficient_scope")


def _expired(private: str) -> str:
    return mint(private, Principal("api_key", "x", frozenset({"*"})), ttl=-5)


async def test_a_repeated_key_gets_the_first_answer(http: httpx.AsyncClient, committed: Database) -> None:
    key = f'"{uuid4()}"'
    first = await post(http, {"name": "pen"}, key)
    again = await post(http, {"name": "pen"}, key.strip('"'))
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    is_problem(await post(http, {"name": "ink"}, key), 422, "idempotency_key_reused")
    is_problem(await post(http, {"name": "pen"}), 400, "idempotency_key_missing")
    is_problem(await post(http, {"name": "pen"}, "k" * 256), 400, "idempotency_key_invalid")
    async with committed.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM seen"))).scalar_one() == 1


async def test_a_request_still_running_is_a_conflict(http: httpx.AsyncClient) -> None:
    slow = asyncio.create_task(post(http, {"name": "slow"}, "same"))
    await asyncio.wait_for(running.wait(), 30)
    is_problem(await post(http, {"name": "slow"}, "same"), 409, "in_flight")
    go_on.set()
    assert (await slow).status_code == 201


async def test_lists_go_on_by_cursor(http: httpx.AsyncClient) -> None:
    seen: list[int] = []
    url = "/v1/things?limit=3"
    while url:
        page = await http.get(url)
        seen += page.json()["items"]
        url = page.links["next"]["url"] if "next" in page.links else ""
        assert bool(url) == (page.json()["next_cursor"] is not None)
    assert seen == list(range(7))
    is_problem(await http.get("/v1/things?cursor=%21%21"), 400, "bad_cursor")
    is_problem(await http.get("/v1/things?limit=201"), 422, "invalid_request")


async def test_a_change_must_say_what_it_has_seen(http: httpx.AsyncClient) -> None:
    is_problem(await http.put("/v1/things/a"), 428, "precondition_required")
    is_problem(await http.put("/v1/things/a", headers={"If-Match": '"2"'}), 412, "precondition_failed")
    is_problem(await http.put("/v1/things/a", headers={"If-Match": "abc"}), 400, "bad_request")
    changed = await http.put("/v1/things/a", headers={"If-Match": '"3"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"4"')
    is_problem(await http.put("/v1/things/none", headers={"If-Match": "*"}), 404, "not_found")


async def test_health_is_of_the_process_and_readiness_of_its_dependencies(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json()["status"] == "ok"
    assert "python_info" in (await http.get("/metrics")).text


async def test_whoever_asks_for_metrics_all_the_time_gets_them_once_a_second(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await http.get("/metrics")).text
    await http.get("/v1/things")
    assert (await http.get("/metrics")).text == first
    monkeypatch.setattr("perennial.common.web.app.METRICS_SECONDS", 0.0)
    assert (await http.get("/metrics")).text != first


async def test_the_document_describes_problems(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    create_thing = document["paths"]["/v1/things"]["post"]
    assert create_thing["operationId"] == "probe_create"
    assert "application/problem+json" in create_thing["responses"]["422"]["content"]
    assert "ProblemBody" in document["components"]["schemas"]


async def test_a_problem_bears_the_id_of_its_request(client: httpx.AsyncClient) -> None:
    sent = await client.get("/v1/things", params={"cursor": "x"}, headers={"X-Request-Id": "r-1"})
    assert sent.json()["instance"] == "/requests/r-1"
    forged = await client.get("/v1/things", params={"cursor": "x"}, headers={"X-Request-Id": '"}\x1b[31m'})
    assert '"' not in forged.json()["instance"]


async def test_whoever_asks_for_readiness_learns_no_details_and_costs_one_look_a_second(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ServiceRuntime] = []

    async def readiness(of: ServiceRuntime) -> dict[str, str]:
        asked.append(of)
        return {"nats": "ok", "database": "OSError('10.0.0.7 port 5432')"}

    monkeypatch.setattr("perennial.common.ready.readiness", readiness)
    clock = [1000.0]
    monkeypatch.setattr("perennial.common.ready.time", SimpleNamespace(monotonic=lambda: clock[0]))
    with capture_logs() as logs:
        answers = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))
    said = {"status": "unavailable", "nats": "ok", "database": "unavailable"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(503, said)] * 20
    assert len(asked) == 1
    assert [(entry["event"], "10.0.0.7" in entry["database"]) for entry in logs] == [("readyz.unavailable", True)]
    with capture_logs() as logs:
        for _ in range(2):
            clock[0] += 1
            await http.get("/readyz")
            await http.get("/readyz")
    assert (len(asked), logs) == (3, []), "the same is said once"
