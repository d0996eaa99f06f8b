"""A file that was sent in before somebody was erased goes with them, as soon as nobody reads it any more."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import CustomerErased
from perennial.common.ids import uuid7
from perennial.common.operations import worker as operations
from perennial.common.privacy import service, worker
from perennial.common.service import ServiceRuntime
from perennial.gateway.imports import steps
from perennial.gateway.imports.testing import GOOD, HEADER, MAPPING, key
from perennial.gateway.testing import Stored

FILES = "SELECT count(*) FROM operation_file"


async def _erase(runtime: ServiceRuntime) -> None:
    via = uuid7()
    async with runtime.database.write() as session:
        told = CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=datetime.now(UTC))
        await service.accept(session, [told])
    await worker.run_all(runtime)


async def _one(runtime: ServiceRuntime, statement: str) -> Any:
    async with runtime.database.read() as session:
        return (await session.execute(text(statement))).scalar_one()


async def _receipts(runtime: ServiceRuntime) -> list[Any]:
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT body FROM outbox WHERE subject LIKE '%.erasure.completed.v1'"))
        return [json.loads(bytes(body))["tables"] for body in found.scalars()]


async def test_files_and_what_was_said_of_their_rows_are_gone_and_the_operations_say_so(
    do: Any, upload: Any, admin: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    over = await do("run", HEADER + GOOD + ",,,Nobody,,,\n")
    import_id = over["input"]["import_id"]
    assert over["result"]["errors"]
    await _erase(live_runtime)
    assert await _one(live_runtime, FILES) == 0
    assert await _receipts(live_runtime) == [[{"table": "operation_file", "erased": 2, "kept": 0, "because": None}]]
    shown = (await admin.get(f"/v1/operations/gateway/{over['id']}")).json()
    assert (shown["files"], shown["result"]["errors"]) == ([], [])
    assert (shown["result"]["gone"], shown["result"]["accepted"]) == ("because of an erasure", 2)
    answer = await admin.get(f"/v1/imports/{import_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_erased")
    answer = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": MAPPING}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (404, "file_erased")
    later = await upload(HEADER + GOOD)
    async with live_runtime.database.write() as session:  # the second look, an hour later
        await session.execute(text("UPDATE erasure SET next_at = now() - interval '1 second'"))
    await worker.run_all(live_runtime)
    assert (await admin.get(f"/v1/imports/{later.json()['id']}")).status_code == 200, "what came later stays"


async def test_an_import_under_way_is_let_through_and_no_other_begins(
    upload: Any, admin: httpx.AsyncClient, live_runtime: ServiceRuntime, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "AT_ONCE", 1)
    import_id = (await upload(HEADER + GOOD)).json()["id"]
    run = f"/v1/imports/{import_id}/run"
    started = await admin.post(run, json={"mapping": MAPPING}, headers=key())
    while not await stored():
        await operations.step_once(live_runtime)
    await _erase(live_runtime)
    assert await _receipts(live_runtime) == [], "it is not done with"
    assert (await admin.post(run, json={"mapping": MAPPING}, headers=key())).json()["code"] == "file_erased"
    later = (await upload(HEADER + GOOD)).json()["id"]
    while await operations.step_once(live_runtime):
        pass
    over = (await admin.get(started.headers["Location"])).json()
    assert (over["state"], over["result"]["accepted"]) == ("succeeded", 2)
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE erasure SET next_at = now() - interval '1 second'"))
    await worker.run_all(live_runtime)
    assert len(await _receipts(live_runtime)) == 1
    left = "SELECT string_agg(DISTINCT operation_id::text, ' ') FROM operation_file"
    assert await _one(live_runtime, left) == later, "what was sent in while it waited stays"


async def test_an_import_that_hangs_is_waited_for_during_a_day(
    upload: Any, admin: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    import_id = (await upload(HEADER + GOOD)).json()["id"]
    started = await admin.post(f"/v1/imports/{import_id}/run", json={"mapping": MAPPING}, headers=key())
    async with live_runtime.database.write() as session:
        await session.execute(
            text("""UPDATE operation SET created_at = now() - interval '25 hours',
                    state = CASE kind WHEN 'customers.upload' THEN 'succeeded' ELSE state END""")
        )
    await _erase(live_runtime)
    assert (await _one(live_runtime, FILES), len(await _receipts(live_runtime))) == (0, 1)
    while await operations.step_once(live_runtime):
        pass
    over = (await admin.get(started.headers["Location"])).json()
    assert (over["state"], over["error"]["code"]) == ("failed", "file_erased")
