"""A list as a file: what was asked for, masked for who asked, whole also when the worker dies, safe to open."""

import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified
from perennial.profile.exports import files, service

Hear = Callable[..., Awaitable[None]]
Export = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def export(client: httpx.AsyncClient, token: Callable[..., str], runtime: ServiceRuntime) -> Export:
    """`await export({…}, fields=[…])`: the operation when it is over, and the file's text."""

    async def done(wanted: dict[str, Any], fields: tuple[str, ...] = ("*",)) -> Any:
        bearer = {"Authorization": f"Bearer {token('customers:export', fields=fields, who='ann', kind='staff')}"}
        key = {"Idempotency-Key": str(uuid7())}
        started = await client.post("/v1/exports", json=wanted, headers={**bearer, **key})
        if started.status_code != 202:
            return started, ""
        while await worker.step_once(runtime):
            pass
        where = started.headers["Location"]
        over = (await client.get(where, headers=bearer)).json()
        assert "state" in over, over
        if over["state"] != "succeeded":
            return over, ""
        content = (await client.get(f"{where}/files/{over['result']['file']}", headers=bearer)).content
        return over, content.decode()

    return done


@pytest.fixture
async def people(hear: Hear) -> list[UUID]:
    vias = [uuid7() for _ in range(5)]
    await hear(
        identified({"name": "Ada", "email": "ada@example.com", "city": "Rome", "age": 36}, via=vias[0], at=NOON),
        identified({"name": "=cmd|' /C calc'!A0", "city": "Rome", "pets": ["cat", "dog"]}, via=vias[1], at=NOON),
        identified({"name": '张"伟"\n', "city": "Oslo", "age": -5}, via=vias[2], at=NOON),
        identified({"name": "-1+1", "city": "@sum", "address": {"city": "Rome"}}, via=vias[3], at=NOON),
        identified({"city": "Rome"}, via=vias[4], at=NOON),
    )
    return vias


def rows(content: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content, newline="")))


async def test_a_list_is_written_in_the_columns_asked_for(export: Export, people: list[UUID]) -> None:
    columns = ["id", "trait.name", "trait.age", "trait.pets", "trait.address.city", "trait.city", "tags"]
    over, content = await export({"columns": columns})
    assert (over["result"], over["done"]) == ({"customers": 5, "file": "customers.csv"}, 5)
    found = rows(content)
    assert found[0] == columns
    assert [row[0] for row in found[1:]] == [str(via) for via in people]
    assert [row[1:6] for row in found[1:]] == [
        ["Ada", "36", "", "", "Rome"], ["'=cmd|' /C calc'!A0", "", "cat; dog", "", "Rome"],
        ['张"伟"\n', "-5", "", "", "Oslo"], ["'-1+1", "", "", "Rome", "'@sum"], ["", "", "", "", "Rome"],
    ]  # fmt: skip


async def test_a_filter_a_mark_for_excel_and_lines_of_json(export: Export, people: list[UUID]) -> None:
    rule = {"trait": "city", "is": "Rome"}
    _, content = await export({"filter": rule, "bom": True, "columns": ["id"]})
    assert content.startswith("\ufeff")
    assert len(rows(content)) == 4
    _, content = await export({"filter": rule, "q": "ad", "format": "jsonl"})
    [found] = map(json.loads, content.splitlines())
    assert (found["id"], found["traits"]["name"]) == (str(people[0]), "Ada")
    _, content = await export({"tags": ["none"]})
    assert len(rows(content)) == 1


async def test_who_does_not_see_a_field_exports_it_masked(export: Export, people: list[UUID]) -> None:
    columns = ["trait.name", "trait.email", "trait.city"]
    for fields, shown in (
        ((), ["A****", "a****@example.com", "Rome"]),
        (("personal",), ["Ada", "a****@example.com", "Rome"]),
        (("*",), ["Ada", "ada@example.com", "Rome"]),
    ):
        _, content = await export({"columns": columns}, fields=fields)
        assert rows(content)[1] == shown
        assert fields == ("*",) or "ada@example.com" not in content
    refused, _ = await export({"filter": {"trait": "name", "is": "Ada"}}, fields=())
    assert (refused.status_code, refused.json()["code"]) == (403, "field_masked")
    _, content = await export({"q": "ada", "columns": ["id"]}, fields=())
    assert len(rows(content)) == 1


async def test_a_worker_that_dies_writes_nobody_twice(
    export: Export, people: list[UUID], monkeypatch: pytest.MonkeyPatch, runtime: ServiceRuntime
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 2)
    died: list[bool] = []
    lines = files.lines

    def dies(*said: Any) -> bytes:
        if len(died) < 2 and said[2][0]["id"] == str(people[2]):
            died.append(True)
            raise ConnectionResetError("killed")
        return lines(*said)

    monkeypatch.setattr(files, "lines", dies)
    over, _ = await export({"columns": ["id"]})
    while over["state"] != "succeeded":
        async with runtime.database.write() as session:
            await session.execute(text("UPDATE operation SET next_at = now()"))
        await worker.step_once(runtime)
        async with runtime.database.read() as reading:
            over = dict((await reading.execute(text("SELECT state, done, result FROM operation"))).mappings().one())
    async with runtime.database.read() as reading:
        chunks = (await reading.execute(text("SELECT chunk FROM operation_file ORDER BY at"))).scalars()
        content = b"".join(chunks).decode()
    assert [row[0] for row in rows(content)] == ["id", *map(str, people)]
    assert (died, over["done"]) == ([True, True], 5)


async def test_an_export_is_on_the_record_and_wants_its_scope(
    export: Export, client: httpx.AsyncClient, token: Callable[..., str], runtime: ServiceRuntime
) -> None:
    over, _ = await export({"columns": ["id"]})
    async with runtime.database.read() as session:
        found = (await session.execute(text("SELECT principal, action, subject FROM audit"))).all()
    assert [tuple(row) for row in found] == [("staff:ann", "customers.exported", f"operation/{over['id']}")]
    bearer = {"Authorization": f"Bearer {token('customers:read')}", "Idempotency-Key": "k"}
    assert (await client.post("/v1/exports", json={}, headers=bearer)).status_code == 403


@pytest.mark.parametrize(
    "wanted",
    [
        {"columns": []}, {"columns": ["shoe"]}, {"columns": ["trait."]}, {"columns": ["trait.a..b"]}, {"format": "xls"},
        {"filter": {}}, {"filter": {"event": "A"}}, {"q": ""}, {"q": "a\0"}, {"segment": "x"}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
async def test_bad_wishes_are_refused(export: Export, wanted: dict[str, Any]) -> None:
    refused, _ = await export(wanted)
    assert refused.status_code == 422


@pytest.mark.parametrize("said", ["=1", "+1", "-1", "@a", "\t=1", " =1", "\r=1", "\n+1", "＝1", "－1"], ids=ascii)
def test_no_cell_is_a_formula(said: str) -> None:
    [[cell]] = rows(files.lines("csv", ["stage"], [{"stage": said}]).decode())
    assert cell == f"'{said}"


async def test_who_is_known(hear: Hear, client: httpx.AsyncClient, assign: Callable[..., Awaitable[None]]) -> None:
    via = uuid7()
    digest = blind_index(bytes.fromhex("11" * 32), "email", "ada@example.com").hex()
    await assign(via, via, version=1, kind="email", digest=digest)
    people = [["email:ADA@example.com", "user_id:x"], ["user_id:x"], [], ["shoe:1", "email:junk", ""]]
    answer = await client.post("/v1/customers/known", json={"people": people})
    assert answer.json() == {"known": [True, False, False, False]}
