"""Customers from a file: uploaded, tried, run once however often, and what is wrong named row by row."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.common.runtime import Runtime
from perennial.gateway.edge import Edge
from perennial.gateway.imports import steps
from perennial.gateway.testing import Stored

HEADER = "用户ID,手机号,Email,姓名,Age,VIP,Birthday\n"
GOOD = "u-1,+14155550100,ada@example.com,张伟,36,yes,1990/1/2\nu-2,,,Bob,,,\n"
MAPPING: dict[str, Any] = {
    "columns": [
        {"column": "用户ID", "to": "identifier", "kind": "user_id"},
        {"column": "手机号", "to": "identifier", "kind": "phone"},
        {"column": 3, "to": "identifier", "kind": "email"},
        {"column": "姓名", "to": "trait", "key": "name"},
        {"column": "Age", "to": "trait", "key": "age", "type": "number", "empty": "clear"},
        {"column": "VIP", "to": "trait", "key": "vip", "type": "boolean"},
        {"column": "Birthday", "to": "trait", "key": "birthday", "type": "date"},
    ]
}


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid7())}


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
def do(admin: httpx.AsyncClient, live_runtime: Runtime, upload: Callable[..., Any]) -> Callable[..., Any]:
    """`await do("run", HEADER + GOOD)`: the operation when it is over."""

    async def done(verb: str, content: str | bytes | None = None, *, import_id: str = "", **body: Any) -> Any:
        import_id = import_id or (await upload(content)).json()["id"]
        started = await admin.post(f"/v1/imports/{import_id}/{verb}", json=body or {"mapping": MAPPING}, headers=key())
        assert started.status_code == 202, started.text
        while await worker.step_once(live_runtime):
            pass
        return (await admin.get(started.headers["Location"])).json()

    return done


def bodies(events: list[Any]) -> list[Any]:
    return [msgspec.json.decode(event.body) for event in events]


async def test_a_file_is_uploaded_and_explains_itself(admin: httpx.AsyncClient, upload: Any, source: str) -> None:
    answer = await upload((HEADER + GOOD).encode("gbk"), name="会员.csv")
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/imports/{answer.json()['id']}")
    found = answer.json()
    assert (found["encoding"], found["delimiter"], found["name"], found["source_id"]) == (
        "gb18030", ",", "会员.csv", source,
    )  # fmt: skip
    assert found["columns"] == HEADER.strip().split(",")
    assert found["sample"][1] == ["u-2", "", "", "Bob", "", "", ""]
    kinds = {column.get("kind") or column["key"]: column["column"] for column in found["suggested"]["columns"]}
    assert kinds == {"user_id": 1, "phone": 2, "email": 3, "name": 4, "age": 5, "vip": 6, "birthday": 7}
    assert (await admin.get(answer.headers["Location"])).json() == found


async def test_rows_become_events_of_the_source_that_only_build_state(do: Any, stored: Stored, source: str) -> None:
    over = await do("run", HEADER + GOOD)
    assert (over["state"], over["done"] == over["total"]) == ("succeeded", True)
    assert over["result"] == {"rows": 2, "accepted": 2, "rejected": 0, "errors": [], "errors_file": "errors.csv"}
    events = await stored()
    assert {(event.type, event.live, event.imported) for event in events} == {("identify", False, True)}
    first, second = bodies(events)
    assert (first["userId"], first["traits"]) == (
        "u-1",
        {
            "phone": "+14155550100", "email": "ada@example.com", "name": "张伟", "age": 36, "vip": True,
            "birthday": "1990-01-02",
        },
    )  # fmt: skip
    assert (second["userId"], second["traits"]) == ("u-2", {"name": "Bob", "age": None})


async def test_who_has_an_address_only_is_somebody(do: Any, stored: Stored) -> None:
    over = await do("run", HEADER + ",,eve@example.com,Eve,,,\n")
    assert over["result"]["accepted"] == 1
    [event] = bodies(await stored())
    assert "userId" not in event
    assert event["traits"]["email"] == "eve@example.com"


async def test_a_second_run_says_the_same_under_the_same_ids_and_another_mapping_does_not(
    do: Any, stored: Stored, upload: Any
) -> None:
    import_id = (await upload(HEADER + GOOD)).json()["id"]
    for _ in range(2):
        await do("run", import_id=import_id)
    other = {"columns": MAPPING["columns"][:4]}
    await do("run", import_id=import_id, mapping=other)
    ids = [event.message_id for event in await stored()]
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 4
    again = (await upload(HEADER + GOOD)).json()["id"]
    await do("run", import_id=again)
    assert len({event.message_id for event in await stored()}) == 6


BAD = """\
,,,Nobody,,,
u-4,not a phone,,x,,,
u-5,,,x,many,,
u-6,,,x,,perhaps,
u-7,,,x,,,yesterday
u-8,,,x
u-9,,,"nul\0",,,
u-10,,,"open,,,
null,,,x,,,
u-11,,,"{}",,,
u-12,,,=1+1,5,no,2001-02-03
"""


async def test_what_is_wrong_is_named_row_by_row_and_the_others_go_on(
    do: Any, admin: httpx.AsyncClient, stored: Stored
) -> None:
    content = HEADER + BAD.format("y" * 40_000)
    for verb in ("check", "run"):
        over = await do(verb, content)
        result = over["result"]
        assert (result["rows"], result["accepted"], result["rejected"]) == (11, 1, 10), result
        found = [(error["line"], error["column"], error["code"]) for error in result["errors"]]
        assert found == [
            (2, "", "no_identifier"), (3, "手机号", "invalid_identifier"), (4, "Age", "not_a_number"),
            (5, "VIP", "not_a_boolean"), (6, "Birthday", "not_a_date"), (7, "", "ragged"), (8, "姓名", "nul"),
            (9, "", "unreadable"), (10, "用户ID", "invalid_identifier"), (11, "", "event_too_large"),
        ]  # fmt: skip
        assert not any("not a phone" in error["reason"] for error in result["errors"])
        listed = await admin.get(f"/v1/operations/gateway/{over['id']}/files/errors.csv")
        assert listed.headers["content-type"].startswith("text/csv")
        assert listed.text.splitlines()[0] == "line,column,code,reason"
        assert len(listed.text.splitlines()) == 11
    assert [event["userId"] for event in bodies(await stored())] == ["u-12"]


async def test_a_trial_sends_nothing_and_tells_who_is_known(
    do: Any, stored: Stored, edge: Edge, live_runtime: Runtime, profile: list[Any]
) -> None:
    over = await do("check", HEADER + GOOD)
    assert over["result"] == {
        "rows": 2, "accepted": 2, "rejected": 0, "created": 1, "updated": 1, "errors": [], "errors_file": "errors.csv",
    }  # fmt: skip
    assert await stored() == []
    assert profile == [[["user_id:u-1", "phone:+14155550100", "email:ada@example.com"], ["user_id:u-2"]]]
    live_runtime.settings.services.clear()  # type: ignore[attr-defined]
    over = await do("check", HEADER + GOOD)
    assert (over["result"]["accepted"], over["result"]["created"]) == (2, None)


@pytest.fixture
async def profile(live_runtime: Runtime, gateway: FastAPI) -> AsyncIterator[list[Any]]:
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


async def test_a_worker_that_dies_after_sending_doubles_nobody(
    do: Any, stored: Stored, upload: Any, admin: httpx.AsyncClient, live_runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(steps, "AT_ONCE", 3)
    rows = "".join(f"u-{n},,,N{n},{n},,\n" for n in range(10))
    import_id = (await upload(HEADER + rows)).json()["id"]
    started = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": MAPPING}, headers=key())
    died: list[bool] = []
    note = steps._note

    async def dies(step: Any, faults: Any) -> None:
        if step.progress.get("rows") == 6 and not died:
            died.append(True)
            raise ConnectionResetError("killed")
        await note(step, faults)

    monkeypatch.setattr(steps, "_note", dies)
    for _ in range(12):
        await worker.step_once(live_runtime)
        async with live_runtime.database.write() as session:
            await session.execute(text("UPDATE operation SET next_at = now()"))
    over = (await admin.get(started.headers["Location"])).json()
    assert (died, over["state"], over["result"]["accepted"]) == ([True], "succeeded", 10)
    events = await stored()
    assert len(events) == 13, "the step was done twice"
    assert len({event.message_id for event in events}) == 10
    assert {event["userId"] for event in bodies(events)} == {f"u-{n}" for n in range(10)}


async def test_it_can_be_cancelled_in_the_middle(
    upload: Any, admin: httpx.AsyncClient, stored: Stored, live_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "AT_ONCE", 2)
    import_id = (await upload(HEADER + "".join(f"u-{n},,,x,,,\n" for n in range(9)))).json()["id"]
    started = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": MAPPING}, headers=key())
    where = started.headers["Location"]
    while not await stored():
        await worker.step_once(live_runtime)
    assert (await admin.post(f"{where}/cancel")).status_code == 200
    while await worker.step_once(live_runtime):
        pass
    assert (await admin.get(where)).json()["state"] == "cancelled"
    assert len(await stored()) == 2


async def test_mappings_are_kept_under_names(admin: httpx.AsyncClient, do: Any, stored: Stored) -> None:
    body = {"name": "members", "mapping": MAPPING}
    made = await admin.post("/v1/import-mappings", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/import-mappings/members")
    assert (await admin.post("/v1/import-mappings", json=body)).status_code == 409
    await admin.post("/v1/import-mappings", json={**body, "name": "guests"})
    first = (await admin.get("/v1/import-mappings", params={"limit": 1})).json()
    rest = (await admin.get("/v1/import-mappings", params={"cursor": first["next_cursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["guests", "members"]
    over = await do("run", HEADER + GOOD, mapping_name="members")
    assert over["result"]["accepted"] == 2
    assert (await admin.delete("/v1/import-mappings/members")).status_code == 204
    assert (await admin.get("/v1/import-mappings/members")).status_code == 404
    assert (await admin.delete("/v1/import-mappings/members")).status_code == 404


@pytest.mark.parametrize(
    ("content", "asked", "status", "code"),
    [
        ("", {}, 422, "empty_file"),
        ("\n\n", {}, 422, "no_header"),
        ('"a,b\n1,2\n', {}, 422, "invalid_header"),
        ("a," * 1_000_000 + "b\n1\n", {}, 422, "invalid_header"),
        ("a," * 2_000 + "b\n", {}, 422, "too_many_columns"),
        ("a\0,b\n", {}, 422, "invalid_header"),
        (b"a,b\n\x81\n", {}, 422, "unknown_encoding"),
        (b"a,b\n\xff\n", {"encoding": "utf-8"}, 422, "wrong_encoding"),
        ("a\n", {"source_id": "nowhere"}, 404, "not_found"),
        ("a\n", {"encoding": "morse"}, 422, "invalid_request"),
        ("a\n", {"delimiter": "#"}, 422, "invalid_request"),
    ],
    ids=lambda value: None if isinstance(value, str | bytes) and len(value) > 99 else repr(value)[:30],
)
async def test_a_file_that_cannot_be_read_is_refused(
    upload: Any, live_runtime: Runtime, content: str | bytes, asked: dict[str, str], status: int, code: str
) -> None:
    answer = await upload(content, **asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    async with live_runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM operation"))).scalar_one() == 0


async def test_a_mapping_must_fit_the_file(admin: httpx.AsyncClient, upload: Any) -> None:
    import_id = (await upload("id,a,a\n1,2,3\n")).json()["id"]
    known = {"column": "id", "to": "identifier", "kind": "user_id"}
    for column, pointer in (
        ({"column": "b", "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
        ({"column": "a", "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
        ({"column": 4, "to": "trait", "key": "b"}, "/mapping/columns/1/column"),
    ):
        body = {"mapping": {"columns": [known, column]}}
        answer = await admin.post(f"/v1/imports/{import_id}/run", json=body, headers=key())
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    for columns in (
        [], [{"column": 2, "to": "trait", "key": "a"}], [known, {**known, "column": 2}], [{**known, "kind": None}],
        [{**known, "key": "x"}], [{**known, "kind": "external_id"}], [{**known, "column": 0}], [known, {"column": 2}],
    ):  # fmt: skip
        answer = await admin.post(
            f"/v1/imports/{import_id}/check", json={"mapping": {"columns": columns}}, headers=key()
        )
        assert answer.status_code == 422, columns
    for sent, status in (({}, 422), ({"mapping_name": "none"}, 404)):
        answer = await admin.post(f"/v1/imports/{import_id}/run", json=sent, headers=key())
        assert answer.status_code == status


async def test_imports_want_their_scope_and_are_ones_own(
    http: httpx.AsyncClient, admin: httpx.AsyncClient, upload: Any, source: str
) -> None:
    found = (await upload(HEADER + GOOD)).json()["id"]
    made = await admin.post("/v1/api-keys", json={"name": "other", "scopes": ["customers:import"]})
    other = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await http.get(f"/v1/imports/{found}", headers=other)).status_code == 404
    answer = await http.post(f"/v1/imports/{found}/run", json={"mapping": MAPPING}, headers={**other, **key()})
    assert answer.status_code == 404
    made = await admin.post("/v1/api-keys", json={"name": "reader", "scopes": ["customers:read"]})
    reader = {"Authorization": f"Bearer {made.json()['key']}"}
    for call in (http.get(f"/v1/imports/{found}", headers=reader), http.get("/v1/import-mappings", headers=reader)):
        assert (await call).status_code == 403
    answer = await http.post("/v1/imports", params={"source_id": source}, content=b"a\n")
    assert answer.status_code == 401


async def test_a_source_that_may_not_import_does_not(admin: httpx.AsyncClient, upload: Any) -> None:
    made = (await admin.post("/v1/sources", json={"name": "web", "kind": "client"})).json()
    answer = await upload(HEADER, source_id=made["id"])
    assert (answer.status_code, answer.json()["code"]) == (403, "import_not_allowed")


async def test_a_body_that_is_no_file_or_stops_arriving_is_refused(
    admin: httpx.AsyncClient, edge: Edge, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for headers in ({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}):
        answer = await admin.post("/v1/imports", params={"source_id": source}, content=b"x", headers=headers)
        assert answer.status_code == 415
    monkeypatch.setattr(edge, "settings", edge.settings.model_copy(update={"body_seconds": 0.2}))

    async def slow() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        await asyncio.sleep(5)
        yield b"1,2\n"

    answer = await admin.post("/v1/imports", params={"source_id": source}, content=slow())
    assert (answer.status_code, answer.json()["code"]) == (503, "body_timeout")


async def test_a_step_holds_a_megabyte_however_long_the_rows_and_blank_lines_end_nothing(
    do: Any, stored: Stored, live_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "BYTES_AT_ONCE", 1000)
    parts: list[int] = []
    note = steps._note

    async def noted(step: Any, faults: Any) -> None:
        parts.append(step.progress["rows"])
        await note(step, faults)

    monkeypatch.setattr(steps, "_note", noted)
    rows = "".join(f"u-{n},,,{'x' * 600},,,\n" for n in range(5)) + "\n" * 3000 + "u-6,,,Last,,,\n"
    over = await do("run", HEADER + rows)
    assert (over["result"]["accepted"], over["done"] == over["total"]) == (6, True)
    assert parts[:3] == [2, 4, 5]
    assert len(await stored()) == 6


async def test_two_columns_that_mean_one_trait_are_refused(admin: httpx.AsyncClient, upload: Any) -> None:
    import_id = (await upload("id,a,b\n1,2,3\n")).json()["id"]
    known = {"column": "id", "to": "identifier", "kind": "user_id"}
    for one, other in (
        ({"to": "trait", "key": "firstName"}, {"to": "trait", "key": "first_name"}),
        ({"to": "identifier", "kind": "email"}, {"to": "trait", "key": "email", "empty": "clear"}),
    ):
        columns = [known, {"column": 2, **one}, {"column": 3, **other}]
        body = {"mapping": {"columns": columns}}
        answer = await admin.post(f"/v1/imports/{import_id}/check", json=body, headers=key())
        assert answer.status_code == 422, columns


async def test_long_and_many_identifiers_hide_nobody_from_a_trial(
    do: Any, upload: Any, profile: list[Any], edge: Edge
) -> None:
    columns = [{"column": 1, "to": "identifier", "kind": "user_id"}] + [
        {"column": n, "to": "identifier", "kind": "external_id", "namespace": f"n{n}"} for n in range(2, 25)
    ]
    header = ",".join(f"c{n}" for n in range(1, 25))
    import_id = (await upload(f"{header}\nu-1,{','.join('x' * 23)}\nu-2,{'y' * 450}{',' * 22}\n")).json()["id"]
    over = await do("check", import_id=import_id, mapping={"columns": columns})
    assert over["result"]["created"] is not None, over
    assert max(len(said) for asked in profile for said in asked) <= 20
    assert max(len(one) for asked in profile for said in asked for one in said) <= 400
