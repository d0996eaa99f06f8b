"""Section 4 of the protocols, where common keeps it for every route of every service."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field

from perennial.common.auth import Principal, requires
from perennial.common.db import Database
from perennial.common.service import ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.probe import PROBE
from perennial.common.web import Page, PageQuery, Repeatable, Write, paged
from perennial.common.web.app import create_app, no_lifespan
from perennial.common.web.checks import DEEPEST
from perennial.common.web.conditional import SHOWN_ONCE
from perennial.common.web.etags import NEW, IfMatch, IfMatchOrNew, Seen, match, tag
from perennial.common.web.fields import Day, Flag, Instant, Whole, left_out
from perennial.common.web.idempotency import run

router = APIRouter()
May = Annotated[Principal, Depends(requires("things:write"))]


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "x"
    size: Whole = Field(default=1, ge=1, le=1000)
    on: Flag = False
    at: Instant | None = None
    day: Day | None = None
    more: Any = None


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = left_out()
    note: str | None = None


class Made(BaseModel):
    id: str
    version: int


@router.post("/v1/things", status_code=201, response_model=Made)
async def make(body: Thing, once: Repeatable, session: Write, who: May) -> Response:
    async def work() -> Made:
        return Made(id=f"t{body.size}", version=7)

    return await run(once, session, work, 201, location="/v1/things/{id}", etag="{version}")


@router.post("/v1/secrets", status_code=201, openapi_extra={SHOWN_ONCE: True})
async def make_secret(response: Response, who: May) -> dict[str, str]:
    response.headers["Location"] = "/v1/secrets/1"
    return {"secret": "s3cret"}


@router.get("/v1/things")
async def listing(page: PageQuery, who: May) -> Page[int]:
    return paged(list(range(page.limit + 1)), page, lambda item: [item + 1])


@router.get("/v1/things/{thing_id}")
async def show(thing_id: str, response: Response, who: May, q: str = "") -> Made:
    tag(response, 3)
    return Made(id=thing_id, version=3)


@router.patch("/v1/things/{thing_id}")
async def change(thing_id: str, body: Change, expected: IfMatch, response: Response, who: May) -> dict[str, Any]:
    match(expected, 3)
    tag(response, 4)
    return body.model_dump(exclude_unset=True)


@router.put("/v1/things/{thing_id}")
async def put(thing_id: str, body: Thing, expected: IfMatchOrNew, response: Response, who: May) -> Made:
    if expected == NEW and thing_id == "free":
        response.status_code = 201
    else:
        match(expected, 3)
    tag(response, 1)
    return Made(id=thing_id, version=1)


@router.delete("/v1/things/{thing_id}", status_code=204)
async def remove(thing_id: str, seen: Seen, who: May) -> None:
    match(seen, 3)


API = PROBE.__class__(name="probe", title="Probe", metadata=PROBE.metadata, routers=(router,))
URL = "/v1/things/a"


@pytest.fixture
def app(settings: CommonSettings, committed: Database) -> FastAPI:
    made = create_app(API, settings, no_lifespan)
    made.state.runtime = ServiceRuntime(API, settings, committed, nats=None)  # type: ignore[arg-type]
    return made


@pytest.fixture
async def http(app: FastAPI, token: Callable[..., str]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token('things:*')}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://probe", headers=headers) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def send(http: httpx.AsyncClient, body: str | bytes, kind: str = "application/json") -> httpx.Response:
    return await http.post("/v1/things", content=body, headers={"Content-Type": kind})


async def test_a_body_of_another_kind_is_415_and_says_which_is_taken(http: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", "nonsense"):
        refused = await send(http, "{}", kind)
        assert code(refused) == (415, "unsupported_media_type"), kind
        assert refused.headers["accept"] == "application/json"
    assert code(await http.post("/v1/things", content=b"{}")) == (415, "unsupported_media_type")
    packed = await http.post("/v1/things", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert code(packed) == (415, "unsupported_media_type")
    assert (await send(http, "{}", "Application/JSON; charset=UTF-8")).status_code == 201


async def test_a_patch_is_a_merge_patch(http: httpx.AsyncClient) -> None:
    async def patch(body: dict[str, Any], kind: str = "application/merge-patch+json") -> httpx.Response:
        return await http.patch(URL, content=json.dumps(body), headers={"Content-Type": kind, "If-Match": '"3"'})

    assert (await patch({"note": None})).json() == {"note": None}
    assert (await patch({"name": "b"}, "application/json")).json() == {"name": "b"}
    assert code(await patch({"name": None})) == (422, "invalid_request")
    refused = await patch({}, "application/json-patch+json")
    assert (code(refused)[0], "merge-patch" in refused.headers["accept-patch"]) == (415, True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"name": "a\\u0000b"}', "/name"),
        ('{"name": "\\ud800"}', "/name"),
        ('{"more": {"a": [1, {"b": "\\udfff"}]}}', "/more/a/1/b"),
        ('{"more": {"a\\u0000": 1}}', "/more/a?"),
        ('{"more": [NaN]}', "/more/0"),
        ('{"more": 1e999}', "/more"),
    ],
)
async def test_what_postgres_cannot_keep_is_refused_by_name(http: httpx.AsyncClient, body: str, pointer: str) -> None:
    refused = await send(http, body)
    assert code(refused) == (422, "invalid_request")
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert pointer in refused.json()["message"]


async def test_so_it_is_in_paths_and_queries(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/things/a%00b")).json()["errors"][0]["pointer"] == "path/thing_id"
    assert (await http.get(URL, params={"q": "\0"})).json()["errors"][0]["pointer"] == "query/q"
    assert (await http.get(f"{URL}?q=1&q=2")).json()["errors"][0]["detail"] == "must be given once"
    assert (await http.get(f"{URL}?nobody=knows")).status_code == 200
    assert (await http.get(f"{URL}?q=%ff%fe")).status_code == 200


@pytest.mark.parametrize(
    "body", ["{", '{"a": 1}}', b"\xff\xfe{", '"\\x"', "[" * 100_000, '{"more": ' + "9" * 5000 + "}"]
)
async def test_what_is_not_json_is_400(http: httpx.AsyncClient, body: str | bytes) -> None:
    assert (await send(http, body)).status_code == 400


async def test_depth_has_an_end(http: httpx.AsyncClient) -> None:
    deep = '{"more": ' + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1) + "}"
    assert (await send(http, deep)).status_code == 201
    assert code(await send(http, deep.replace("[]", "[[[]]]"))) == (400, "too_deep")


@pytest.mark.parametrize(
    "wrong",
    [{"size": "5"}, {"size": True}, {"size": 1.5}, {"on": 1}, {"on": "true"}, {"at": 1_700_000_000},
     {"at": "1700000000"}, {"day": 0}, {"day": "0"}, {"at": "0001-01-01T00:00:00+10:00"}, {"size": 10**400},
     {"other": 1}],
)  # fmt: skip
async def test_nothing_is_guessed(http: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    refused = await http.post("/v1/things", json=wrong)
    assert code(refused) == (422, "invalid_request")
    assert refused.json()["errors"][0]["pointer"] == f"/{next(iter(wrong))}"


async def test_a_whole_number_may_be_written_with_a_point(http: httpx.AsyncClient) -> None:
    assert (await send(http, '{"size": 297.0}')).json()["id"] == "t297"


async def test_a_stranger_is_one_whatever_else_is_wrong(http: httpx.AsyncClient) -> None:
    del http.headers["Authorization"]
    assert (await send(http, '{"name": "\\u0000"}')).status_code == 401
    assert (await send(http, "{}", "text/plain")).status_code == 401
    assert (await http.get("/v1/things?cursor=%21")).status_code == 401
    assert (await http.patch(URL, json={}, headers={"If-Match": "nonsense"})).status_code == 401


async def test_what_the_client_has_is_not_sent_again(http: httpx.AsyncClient) -> None:
    for known in ('"3"', 'W/"3"', '"1", "3"', "*"):
        again = await http.get(URL, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"3"'), known
        assert "content-type" not in again.headers
    assert (await http.get(URL, headers={"If-None-Match": '"2"'})).json()["version"] == 3
    assert (await http.get("/v1/things", headers={"If-None-Match": "*"})).status_code == 200


async def test_prefer_return_minimal(http: httpx.AsyncClient) -> None:
    wishes = {"If-Match": "*", "Prefer": "respond-async, return=minimal"}
    short = await http.patch(URL, json={"name": "b"}, headers=wishes)
    assert (short.status_code, short.content, short.headers["etag"]) == (204, b"", '"4"')
    assert short.headers["preference-applied"] == "return=minimal"
    long = await http.patch(URL, json={"name": "b"}, headers={"If-Match": "*", "Prefer": "return=representation"})
    assert (long.status_code, "preference-applied" in long.headers) == (200, False)
    assert code(await http.patch(URL, json={}, headers={**wishes, "If-Match": '"2"'})) == (412, "precondition_failed")


async def test_prefer_return_minimal_of_what_is_created(http: httpx.AsyncClient) -> None:
    wishes = {"Prefer": "return=minimal", "Idempotency-Key": "k"}
    for _ in range(2):
        made = await http.post("/v1/things", json={"size": 7}, headers=wishes)
        assert (made.status_code, made.content, made.headers["content-length"]) == (201, b"", "0")
        assert (made.headers["location"], made.headers["etag"]) == ("/v1/things/t7", '"7"')
        assert (made.headers["preference-applied"], made.headers["vary"]) == ("return=minimal", "Prefer")
    assert made.headers["idempotent-replayed"] == "true"
    whole = await http.post("/v1/things", json={"size": 7}, headers={"Idempotency-Key": "k"})
    assert whole.json() == {"id": "t7", "version": 7}
    secret = await http.post("/v1/secrets", headers=wishes)
    assert (secret.json(), "preference-applied" in secret.headers) == ({"secret": "s3cret"}, False)
    assert code(await http.post("/v1/things", json={"size": 0}, headers=wishes))[0] == 422


def test_the_document_says_where_a_wish_is_heard(app: FastAPI) -> None:
    paths = app.openapi()["paths"]

    def heard(method: str, path: str) -> bool:
        return any(parameter["name"] == "Prefer" for parameter in paths[path][method].get("parameters", ()))

    assert heard("post", "/v1/things")
    assert heard("patch", "/v1/things/{thing_id}")
    assert not heard("post", "/v1/secrets")
    assert not heard("get", "/v1/things")
    assert "Preference-Applied" in paths["/v1/things"]["post"]["responses"]["201"]["headers"]


async def test_if_none_match_creates_and_never_replaces(http: httpx.AsyncClient) -> None:
    new = {"If-None-Match": "*"}
    assert (await http.put("/v1/things/free", json={}, headers=new)).status_code == 201
    assert code(await http.put(URL, json={}, headers=new)) == (412, "precondition_failed")
    assert code(await http.put("/v1/things/free", json={}, headers={**new, "If-Match": "*"}))[0] == 412
    assert code(await http.patch(URL, json={}, headers={**new, "If-Match": "*"}))[0] == 412
    assert code(await http.put(URL, json={})) == (428, "precondition_required")
    assert code(await http.put(URL, json={}, headers={"If-Match": '"-1"'})) == (400, "bad_request")


async def test_a_precondition_that_need_not_be_is_heeded(http: httpx.AsyncClient) -> None:
    assert code(await http.delete(URL, headers={"If-Match": '"2"'})) == (412, "precondition_failed")
    assert (await http.delete(URL, headers={"If-Match": '"3"'})).status_code == 204
    assert (await http.delete(URL)).status_code == 204


async def test_a_stored_answer_keeps_its_headers(http: httpx.AsyncClient) -> None:
    for replayed in (None, "true"):
        answer = await http.post("/v1/things", json={"size": 9}, headers={"Idempotency-Key": '"k1"'})
        assert (answer.status_code, answer.json()) == (201, {"id": "t9", "version": 7})
        assert (answer.headers["location"], answer.headers["etag"]) == ("/v1/things/t9", '"7"')
        assert answer.headers.get("idempotent-replayed") == replayed
    free = await http.post("/v1/things", json={"size": 9})
    assert (free.headers["location"], "idempotent-replayed" in free.headers) == ("/v1/things/t9", False)


def cursor_of(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["!", "AAAA", "w7w", cursor_of({}), cursor_of([]), cursor_of(["\0"]), cursor_of(["\ud800"]), cursor_of([2**63]),
     cursor_of([True]), cursor_of([[1]]), cursor_of([1.5]), base64.urlsafe_b64encode(b"[" * 700).decode()],
)  # fmt: skip
async def test_a_cursor_that_is_none(http: httpx.AsyncClient, cursor: str) -> None:
    assert code(await http.get("/v1/things", params={"cursor": cursor})) == (400, "bad_cursor")


async def test_the_next_page_is_where_the_client_asked(http: httpx.AsyncClient) -> None:
    for host in ("probe", "[", "evil.example/"):
        page = await http.get("/v1/things?limit=1&x=%2F", headers={"Host": host})
        assert page.links["next"]["url"] == f"/v1/things?limit=1&x=%2F&cursor={cursor_of([1]).rstrip('=')}"


def test_the_document_says_all_of_it(app: FastAPI) -> None:
    document = app.openapi()
    validate(document)
    thing = document["paths"]["/v1/things/{thing_id}"]
    made = document["paths"]["/v1/things"]["post"]
    assert {"400", "401", "403", "409", "415", "422"} <= set(made["responses"])
    assert {"Location", "Idempotent-Replayed"} <= set(made["responses"]["201"]["headers"])
    assert {"304", "404"} <= set(thing["get"]["responses"])
    assert {"204", "404", "412", "415"} <= set(thing["patch"]["responses"])
    assert "application/merge-patch+json" in thing["patch"]["requestBody"]["content"]
    given = {item["name"]: item for item in thing["patch"]["parameters"]}
    assert given["if-match"]["required"]
    assert "anyOf" not in given["if-match"]["schema"]
    assert document["components"]["schemas"]["Thing"]["properties"]["size"]["maximum"] == 1000
    assert "default" not in document["components"]["schemas"]["Change"]["properties"]["name"]
    assert "Link" in document["paths"]["/v1/things"]["get"]["responses"]["200"]["headers"]
