"""Bounds at the edge of numbers and zones, tallies that name nobody, and locks that a savepoint lets go."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified
from perennial.profile.traits import sealing
from perennial.profile.traits.definitions.kinds import Unfit, fitted
from perennial.profile.traits.definitions.schema import read
from perennial.profile.traits.sweeps import jobs

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("said", ["1e400", "1e999999999", "NaN", "1_0", "9" * 31])
async def test_a_bound_is_a_number_that_a_form_can_show(client: httpx.AsyncClient, said: str) -> None:
    body = {"key": "size", "label": {"en": "Size"}, "type": "number", "maximum": said}
    refused = await client.post("/v1/traits", json=body)
    assert (refused.status_code, "maximum" in refused.json()["detail"]) == (422, True)


def test_bounds_in_time_are_instants_not_texts() -> None:
    since = read({"key": "since", "type": "datetime", "minimum": "2026-01-01T00:00:00+08:00", "maximum": "2026-02-01"})
    assert fitted(since, '"2025-12-31T16:00:00Z"') == '"2025-12-31T16:00:00Z"'
    assert fitted(since, '"2026-02-01T00:00:00Z"') == '"2026-02-01T00:00:00Z"'
    for beyond in ("2025-12-31T15:59:59Z", "2026-02-01T00:00:01Z"):
        with pytest.raises(Unfit, match="range"):
            fitted(since, f'"{beyond}"')
    day = read({"key": "day", "type": "date", "minimum": "2026-01-01T00:00:00"})
    assert fitted(day, '"2026-01-01"') == '"2026-01-01"'


async def test_an_address_that_is_a_key_is_in_no_list_of_keys(hear: Hear, get: Show, session: WriteSession) -> None:
    await hear(identified({"ada@example.com": True, "tel+442079460958": 1, "plan": "pro"}, via=uuid7()))
    keys = [item["key"] for item in (await get("/v1/traits/proposed"))["items"]]
    assert sorted(keys) == ["aaa+999999999999", "aaa@aaaaaaa.aaa"]
    tallied = (await session.execute(text("SELECT string_agg(t::text, '') FROM trait_tally AS t"))).scalar_one()
    assert "ada" not in tallied
    assert "2079" not in tallied


async def test_a_tally_longer_than_one_step_is_added_up_whole(
    hear: Hear, runtime: Runtime, session: WriteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST", 2)
    for _ in range(3):
        await hear(identified({f"key{number}": number for number in range(5)}, via=uuid7(), at=NOON, live=False))
    await jobs.add_up(runtime)
    rows = (await session.execute(text("SELECT key, count FROM trait_tally ORDER BY key"))).all()
    assert [tuple(row) for row in rows] == [(f"key{number}", 3) for number in range(5)]


async def test_after_a_savepoint_that_failed_the_definitions_are_held_again(session: WriteSession) -> None:
    held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    before = (await session.execute(held)).scalar_one()
    with pytest.raises(LookupError):
        async with session.begin_nested():
            first = await sealing.sealer(session)
            raise LookupError
    assert (await session.execute(held)).scalar_one() == before
    async with session.begin_nested():
        assert await sealing.sealer(session) is not first
        assert await sealing.sealer(session) is await sealing.sealer(session)
        assert (await session.execute(held)).scalar_one() == before + 1


@pytest.mark.parametrize("key", ["最喜欢的颜色", "größe", "100%?", "a#b"])
async def test_a_key_in_any_script_is_where_its_location_says(client: httpx.AsyncClient, key: str) -> None:
    made = await client.post("/v1/traits", json={"key": key, "label": {"en": "Any"}})
    assert made.status_code == 201
    assert (await client.get(made.headers["Location"])).json()["key"] == key


@pytest.mark.parametrize("key", ["a/b", "..", "."])
async def test_a_key_that_no_path_can_name_is_refused(client: httpx.AsyncClient, key: str) -> None:
    assert (await client.post("/v1/traits", json={"key": key, "label": {"en": "Any"}})).status_code == 422


async def test_a_definition_of_before_that_no_path_can_name_is_shown_still(
    client: httpx.AsyncClient, session: WriteSession
) -> None:
    await client.post("/v1/traits", json={"key": "shoe", "label": {"en": "Shoe"}})
    renamed = """UPDATE trait_definition SET key = 'a/b', definition = jsonb_set(definition, '{key}', '"a/b"')"""
    await session.execute(text(renamed))
    await session.commit()
    listed = await client.get("/v1/traits", params={"limit": 200})
    assert "a/b" in {item["key"] for item in listed.json()["items"]}
    assert (await client.get("/v1/traits/form")).status_code == 200


@pytest.mark.parametrize("key", ["$foo", "form"])
async def test_what_was_seen_and_can_be_no_key_is_not_adopted(hear: Hear, client: httpx.AsyncClient, key: str) -> None:
    await hear(identified({key: 1}, via=uuid7()))
    refused = await client.post(f"/v1/traits/{key}/adopt")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "path/key")


@pytest.mark.parametrize(
    ("accepts", "language"), [("zh;q=\xb2", "en"), ("zh;q=.", "en"), ("zh;q=0.9, en;q=.8", "zh"), ("zh;q=1.", "zh")]
)
async def test_a_language_with_an_odd_weight_is_passed_over(
    client: httpx.AsyncClient, accepts: str, language: str
) -> None:
    answer = await client.get("/v1/traits/form", headers={b"Accept-Language": accepts.encode("latin-1")})
    assert (answer.status_code, answer.json()["language"]) == (200, language)


@pytest.mark.parametrize(("written", "shown"), [("7", False), ("9", True), ("8.50", True)])
async def test_an_edit_below_the_greatest_value_is_not_said_to_be_shown(
    hear: Hear, client: httpx.AsyncClient, written: str, shown: bool
) -> None:
    via = uuid7()
    body = {"key": "peak", "label": {"en": "Peak"}, "type": "money", "currency": "USD", "strategy": "max"}
    assert (await client.post("/v1/traits", json=body)).status_code == 201
    await hear(identified({"peak": "8.5 USD"}, via=via, at=NOON))
    edit = {"traits": {"peak": f"{written} USD"}, "reason": "by phone"}
    answer = await client.patch(f"/v1/customers/{via}/traits", json=edit, headers={"Idempotency-Key": "x"})
    assert answer.json()["traits"] == {"peak": {"shown": shown}}
