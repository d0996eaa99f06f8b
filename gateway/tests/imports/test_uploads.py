"""A file is sent in and explains itself; one that cannot be read is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.gateway.edge import Edge
from perennial.gateway.imports.testing import GOOD, HEADER, MAPPING, key


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


async def test_a_body_that_is_no_file_or_stops_arriving_is_refused(
    admin: httpx.AsyncClient, edge: Edge, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for headers in ({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}):
        answer = await admin.post("/v1/imports", params={"source_id": source}, content=b"x", headers=headers)
        assert answer.status_code == 415
    monkeypatch.setattr(edge, "settings", edge.settings.model_copy(update={"body_seconds": 0.2}))

    async def slow() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        await asyncio.Event().wait()  # silent for ever

    answer = await admin.post("/v1/imports", params={"source_id": source}, content=slow())
    assert (answer.status_code, answer.json()["code"]) == (503, "body_timeout")


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
