"""Long-running work: done in steps that commit with their progress, shown to who started it, never doubled."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import text

from perennial.common import notify, operations
from perennial.common.auth import Principal, requires
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.operations import Async, OperationOut, Step, files, worker
from perennial.common.problems import Unprocessable
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.probe import PROBE
from perennial.common.web import Idempotent, Write
from perennial.common.web.app import create_app, document, no_lifespan

BASE = "/v1/operations/probe"
router = APIRouter()
May = Annotated[Principal, Depends(requires("things:write"))]


@router.post("/v1/counts", status_code=202, response_model=OperationOut)
async def start_count(body: dict[str, int], request: Request, session: Write, who: May, once: Idempotent) -> Response:
    """Count up to something, always as an operation."""

    async def work() -> OperationOut:
        return await operations.start(session, who, "count", body, total=body["to"])

    return await operations.accepted(request, once, session, work)


@router.post("/v1/sums", responses={202: {"model": OperationOut}})
async def add_up(request: Request, session: Write, who: May, later: Async) -> Any:
    """Add up at once, or as an operation for who would rather not wait."""
    if later:
        return await operations.accepted(
            request, None, session, lambda: operations.start(session, who, "count", {"to": 1})
        )
    return {"sum": 1}


@router.post("/v1/uploads", status_code=202, response_model=OperationOut)
async def upload(request: Request, session: Write, who: May) -> Response:
    """Take a file and copy it, line by line."""

    async def work() -> OperationOut:
        started = await operations.start(session, who, "copy", {})
        await operations.save(session, started.id, "in.txt", "text/plain", request.stream(), 3 * operations.PART)
        return started

    return await operations.accepted(request, None, session, work)


class Held:
    """A step that waits inside its transaction until it may go on."""

    begun: asyncio.Event
    go_on: asyncio.Event

    def forget(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def until_begun(self) -> None:
        await asyncio.wait_for(self.begun.wait(), 30)


held = Held()


async def count(step: Step) -> Mapping[str, Any] | None:
    """One row a step; `fail_at` fails, `die_at` breaks as a lost connection does, `held_at` waits in it."""
    if step.done == step.input.get("fail_at"):
        raise Unprocessable("to: too far", pointer="/to")
    if step.done == step.input.get("bug_at"):
        raise ValueError("secret")
    await step.session.execute(
        text("INSERT INTO seen (id, name, times) VALUES (:id, :name, 1)"), {"id": uuid7(), "name": str(step.done)}
    )
    if step.done == step.input.get("die_at"):
        raise ConnectionResetError
    if step.done == step.input.get("held_at"):
        held.begun.set()
        await held.go_on.wait()
    await asyncio.sleep(step.input.get("slow", 0) / 1000)
    step.done += 1
    step.progress["sum"] = step.progress.get("sum", 0) + step.done
    return {"sum": step.progress["sum"]} if step.done == step.input["to"] else None


async def copy(step: Step) -> Mapping[str, Any] | None:
    chunk = await step.read("in.txt", step.done, 300_000)
    await step.append("out.txt", chunk.upper(), "text/csv")
    step.done += len(chunk)
    return None if chunk else {"bytes": step.done}


SERVICE = dataclasses.replace(PROBE, routers=(router,), operations={"count": count, "copy": copy})


@pytest.fixture(autouse=True)
def at_first() -> None:
    held.forget()


@pytest.fixture
def working(live_runtime: ServiceRuntime) -> ServiceRuntime:
    return dataclasses.replace(live_runtime, service=SERVICE)


@pytest.fixture
async def http(
    working: ServiceRuntime, settings: CommonSettings, token: Callable[..., str]
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SERVICE, settings, no_lifespan)
    app.state.runtime = working
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://probe",
        headers={"Authorization": f"Bearer {token('things:write')}"},
    ) as opened:  # fmt: skip
        yield opened


async def start(http: httpx.AsyncClient, **given: int) -> str:
    answer = await http.post("/v1/counts", json=given, headers={"Idempotency-Key": str(uuid7())})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{BASE}/{answer.json()['id']}"
    return str(answer.headers["location"])


async def finish(runtime: ServiceRuntime) -> None:
    while await worker.step_once(runtime):
        pass


async def names(database: Database) -> list[int]:
    async with database.read() as session:
        return sorted(int(name) for name in (await session.execute(text("SELECT name FROM seen"))).scalars())


async def execute(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(text(statement))


async def test_an_operation_is_started_once_done_in_steps_and_shown(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    key = {"Idempotency-Key": "k", "Prefer": "respond-async"}
    first = await http.post("/v1/counts", json={"to": 3}, headers=key)
    assert (first.status_code, first.headers["preference-applied"]) == (202, "respond-async")
    again = await http.post("/v1/counts", json={"to": 3}, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    where = first.headers["location"]
    assert await worker.step_once(working)
    shown = (await http.get(where)).json()
    assert (shown["state"], shown["done"], shown["total"], shown["result"]) == ("running", 1, 3, None)
    await finish(working)
    shown = (await http.get(where)).json()
    assert (shown["state"], shown["done"], shown["result"], shown["who"]) == (
        "succeeded", 3, {"sum": 6}, "api_key:tester",
    )  # fmt: skip
    assert shown["created_at"] <= shown["started_at"] <= shown["finished_at"] < shown["expires_at"]
    assert await names(working.database) == [0, 1, 2]
    assert [item["id"] for item in (await http.get(BASE)).json()["items"]] == [shown["id"]]


async def test_who_would_rather_not_wait_says_so(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    at_once = await http.post("/v1/sums")
    assert (at_once.status_code, at_once.json(), "location" in at_once.headers) == (200, {"sum": 1}, False)
    later = await http.post("/v1/sums", headers=[("Prefer", "wait=5"), ("Prefer", "handling=lenient, Respond-Async")])
    assert (later.status_code, later.headers["preference-applied"]) == (202, "respond-async")
    assert later.headers["vary"] == "Prefer"
    await finish(working)
    assert (await http.get(later.headers["location"])).json()["state"] == "succeeded"


async def test_a_worker_that_dies_in_a_step_loses_that_step_and_doubles_none(
    http: httpx.AsyncClient, working: ServiceRuntime, settings: CommonSettings
) -> None:
    where = await start(http, to=4, held_at=1)
    await worker.step_once(working)
    doomed = dataclasses.replace(working, database=Database.connect(settings, "doomed"))
    at_it = asyncio.create_task(worker.step_once(doomed))
    await held.until_begun()
    assert not await worker.step_once(working), "nobody else is at a step that somebody is at"
    await terminate(settings, "perennial-doomed")
    held.go_on.set()
    await asyncio.gather(at_it, return_exceptions=True)
    await doomed.database.close()
    assert await names(working.database) == [0]
    await execute(working.database, "UPDATE operation SET next_at = now()")
    await finish(working)
    assert (await http.get(where)).json()["result"] == {"sum": 10}
    assert await names(working.database) == [0, 1, 2, 3]


async def terminate(settings: CommonSettings, application: str) -> None:
    connection = await asyncpg.connect(settings.dsn(direct=True))
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", application
    )
    await connection.close()


async def test_a_step_that_kills_the_worker_each_time_fails_the_operation(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    where = await start(http, to=2)
    for _ in range(worker.MOST_BEGUN):
        await worker._begin(working, UUID(where.rsplit("/", 1)[1]))
    await finish(working)
    shown = (await http.get(where)).json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "worker_lost")


async def test_two_workers_share_operations_and_do_each_step_once(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    all_of_them = [await start(http, to=6, slow=5) for _ in range(4)]
    await asyncio.gather(*(drain(working, len(all_of_them)) for _ in range(3)))
    for where in all_of_them:
        assert (await http.get(where)).json()["result"] == {"sum": 21}
    assert await names(working.database) == sorted(list(range(6)) * 4)


async def drain(runtime: ServiceRuntime, expected: int) -> None:
    while True:
        await worker.step_once(runtime)
        async with runtime.database.read() as session:
            over = await session.execute(text("SELECT count(*) FROM operation WHERE finished_at IS NOT NULL"))
        if over.scalar_one() == expected:
            return


async def test_the_loop_is_woken_and_takes_the_operations_in_turn(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    wake = working.wake(notify.OPERATIONS)
    loops = [asyncio.create_task(loop(working)) for loop in (notify.listen, worker.loop)]
    async with asyncio.timeout(30):
        await wake.wait()  # it listens
    long, short = await start(http, to=400), await start(http, to=2)
    async with asyncio.timeout(20):  # nobody looks by itself before half a minute
        while (await http.get(short)).json()["state"] != "succeeded":
            await asyncio.sleep(0.02)
    assert (await http.get(long)).json()["state"] == "running", "a long one holds up nobody"
    working.stopping.set()
    await asyncio.gather(*loops)


async def test_a_queued_operation_is_cancelled_at_once_and_a_running_one_after_its_step(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    queued, running = await start(http, to=3), await start(http, to=3, held_at=0)
    assert (await http.post(f"{queued}/cancel")).json()["state"] == "cancelled"
    at_it = asyncio.create_task(worker.step_once(working))
    await held.until_begun()
    answer = await http.post(f"{running}/cancel")
    assert (answer.json()["state"], answer.json()["cancelling"]) == ("running", True)
    assert not at_it.done()
    held.go_on.set()
    await at_it
    await finish(working)
    shown = (await http.get(running)).json()
    assert (shown["state"], shown["done"], shown["cancelling"]) == ("cancelled", 1, False)
    assert (await http.post(f"{running}/cancel")).status_code == 200, "twice is no error"
    assert await names(working.database) == [0]


async def test_what_has_ended_cannot_be_cancelled(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    where = await start(http, to=1)
    await finish(working)
    answer = await http.post(f"{where}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "operation_over")


async def test_a_problem_of_the_handler_is_the_operations_error(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    told, bug = await start(http, to=9, fail_at=1), await start(http, to=9, bug_at=2)
    await finish(working)
    shown = (await http.get(told)).json()
    assert (shown["state"], shown["done"], shown["result"]) == ("failed", 1, None)
    assert shown["error"] == {
        "type": "urn:perennial:problem:unprocessable", "title": "Unprocessable Content", "status": 422,
        "code": "unprocessable", "detail": "to: too far",
        "errors": [{"pointer": "/to", "detail": "to: too far", "code": "unprocessable"}],
    } | {"title": shown["error"]["title"]}  # fmt: skip
    shown = (await http.get(bug)).json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "internal_error")
    assert "secret" not in json.dumps(shown)
    assert await names(working.database) == [0, 0, 1]


async def test_an_error_of_the_world_puts_the_step_off_and_fails_nothing(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    where = await start(http, to=2, die_at=1)
    await finish(working)
    for tries in range(1, 8):
        async with working.database.read() as session:
            row = (await session.execute(text("SELECT state, tries, begun, next_at > now() FROM operation"))).one()
        assert tuple(row) == ("running", tries, 0, True)
        await execute(working.database, "UPDATE operation SET next_at = now()")
        await finish(working)
    assert await names(working.database) == [0]
    await execute(working.database, "UPDATE operation SET next_at = now(), input = input - 'die_at'")
    await finish(working)
    assert (await http.get(where)).json()["state"] == "succeeded"


async def test_what_is_put_off_can_be_cancelled(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    where = await start(http, to=2, die_at=0)
    await finish(working)
    await http.post(f"{where}/cancel")
    await finish(working)
    assert (await http.get(where)).json()["state"] == "cancelled"


async def test_an_operation_of_a_kind_that_nobody_here_knows_waits(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    where = await start(http, to=1)
    older = dataclasses.replace(working, service=dataclasses.replace(SERVICE, operations={"copy": copy}))
    assert not await worker.step_once(older)
    assert (await http.get(where)).json()["state"] == "queued"


async def test_files_are_stored_in_parts_read_by_offset_and_streamed(
    http: httpx.AsyncClient, working: ServiceRuntime
) -> None:
    sent = b"a\xc3\xa4\n" * 500_000

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), 700_001):
            yield sent[at : at + 700_001]

    where = (await http.post("/v1/uploads", content=slowly())).headers["location"]
    await finish(working)
    shown = (await http.get(where)).json()
    assert (shown["state"], shown["result"]) == ("succeeded", {"bytes": len(sent)})
    assert shown["files"] == [
        {"name": "in.txt", "media_type": "text/plain", "bytes": len(sent)},
        {"name": "out.txt", "media_type": "text/csv", "bytes": len(sent)},
    ]
    answer = await http.get(f"{where}/files/out.txt")
    assert answer.content == sent.upper()
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="out.txt"'
    assert answer.headers["cache-control"] == "no-store"
    assert (await http.get(f"{where}/files/other.txt")).json()["code"] == "unknown_file"
    async with working.database.read() as session:
        largest = (await session.execute(text("SELECT max(octet_length(chunk)) FROM operation_file"))).scalar()
    assert largest == files.PART


async def test_a_file_that_is_too_large_starts_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/uploads", content=b"x" * (3 * operations.PART + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert (await http.get(BASE)).json()["items"] == []


async def test_an_empty_file_is_a_file(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    where = (await http.post("/v1/uploads", content=b"")).headers["location"]
    await finish(working)
    assert (await http.get(f"{where}/files/in.txt")).content == b""


async def test_somebody_elses_operation_is_not_there(
    http: httpx.AsyncClient, working: ServiceRuntime, token: Callable[..., str]
) -> None:
    where = await start(http, to=9, fail_at=0)
    await finish(working)
    mine = await start(http, to=3)
    for other in (token("things:write", who="other"), token("things:write", kind="staff")):
        headers = {"Authorization": f"Bearer {other}"}
        assert (await http.get(BASE, headers=headers)).json()["items"] == []
        for method, path in (("GET", where), ("POST", f"{where}/cancel"), ("GET", f"{where}/files/in.txt")):
            assert (await http.request(method, path, headers=headers)).status_code == 404
    reader = {"Authorization": f"Bearer {token('operations:read', who='reader', fields=())}"}
    assert len((await http.get(BASE, headers=reader)).json()["items"]) == 2
    seen = (await http.get(mine, headers=reader)).json()
    assert (seen["state"], seen["input"], seen["files"]) == ("queued", None, [])
    assert (await http.post(f"{mine}/cancel", headers=reader)).json()["code"] == "not_the_starter"
    assert (await http.get(f"{mine}/files/in.txt", headers=reader)).status_code == 403
    customer = {"Authorization": f"Bearer {token(via=uuid7())}"}
    assert (await http.get(BASE, headers=customer)).status_code == 403
    assert (await http.get(BASE, headers={"Authorization": ""})).status_code == 401


async def test_the_list_is_filtered_and_paged(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    made = [(await start(http, to=1)).rsplit("/", 1)[1] for _ in range(3)]
    await finish(working)
    made.append((await start(http, to=1)).rsplit("/", 1)[1])
    page = (await http.get(f"{BASE}?limit=3")).json()
    rest = (await http.get(f"{BASE}?limit=3&cursor={page['next_cursor']}")).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == made[::-1]
    assert len((await http.get(f"{BASE}?state=succeeded&kind=count")).json()["items"]) == 3
    assert (await http.get(f"{BASE}?kind=copy")).json()["items"] == []
    assert (await http.get(f"{BASE}?state=lost")).status_code == 422
    for wrong in ("WzFd", "WyJ4Il0", "WyJ4IiwieSJd"):
        assert (await http.get(f"{BASE}?cursor={wrong}")).json()["code"] == "bad_cursor"


async def test_what_has_expired_is_swept_out_with_its_files(http: httpx.AsyncClient, working: ServiceRuntime) -> None:
    where = (await http.post("/v1/uploads", content=b"x")).headers["location"]
    await start(http, to=1)
    await finish(working)
    await worker.sweep(working)
    assert len((await http.get(BASE)).json()["items"]) == 2
    await execute(working.database, "UPDATE operation SET expires_at = now() WHERE kind = 'copy'")
    await worker.sweep(working)
    assert (await http.get(where)).status_code == 404
    async with working.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM operation_file"))).scalar() == 0


def test_only_services_with_operations_have_their_routes() -> None:
    def paths(service: Service) -> set[str]:
        found: Any = document(service)["paths"]
        return {path for path in found if path.startswith("/v1/operations")}

    assert paths(PROBE) == set()
    assert len(paths(SERVICE)) == 4
    found: Any = document(SERVICE)["paths"]
    assert set(found["/v1/counts"]["post"]["responses"]["202"]["headers"]) == {"Location", "Idempotent-Replayed"}
    assert set(found["/v1/sums"]["post"]["responses"]["202"]["headers"]) == {"Location", "Preference-Applied"}
