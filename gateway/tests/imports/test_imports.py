"""Customers from a file: tried, run once however often, and what is wrong named row by row."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.operations import worker
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.imports import steps
from perennial.gateway.imports.testing import GOOD, HEADER, MAPPING, bodies, key
from perennial.gateway.testing import Stored


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
    do: Any, stored: Stored, edge: Edge, live_runtime: ServiceRuntime, profile: list[Any]
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


async def test_a_worker_that_dies_after_sending_doubles_nobody(
    do: Any, stored: Stored, upload: Any, admin: httpx.AsyncClient, live_runtime: ServiceRuntime,
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
    upload: Any, admin: httpx.AsyncClient, stored: Stored, live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
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


async def test_a_step_holds_a_megabyte_however_long_the_rows_and_blank_lines_end_nothing(
    do: Any, stored: Stored, live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
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
