"""What the timeline keeps for how long, and what stays when it is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from perennial.common.db import Database, ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.timeline import queries, service
from perennial.profile.timeline.retention import jobs
from perennial.profile.timeline.retention import queries as retention

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
PATH = "/v1/timeline/retention"
USUAL = {"behaviour": 24, "transactions": 84, "service": 36, "communication": 24, "lifecycle": 36}


def ago(months: int) -> datetime:
    """The middle of a month that long ago."""
    now = datetime.now(UTC)
    month = now.year * 12 + now.month - 1 - months
    return datetime(month // 12, month % 12 + 1, 15, tzinfo=UTC)


async def keep(runtime: Runtime, **months: int) -> None:
    async with runtime.database.write() as session:
        await retention.write(session, months)


async def parts(session: ReadSession) -> set[str]:
    rows = await session.execute(text("SELECT relid::regclass::text FROM pg_partition_tree('event') WHERE isleaf"))
    return set(rows.scalars())


async def test_each_class_goes_when_its_time_has_come_and_state_stays(hear: Hear, get: Show, runtime: Runtime) -> None:
    via = uuid7()
    await keep(runtime, behaviour=48)
    await hear(
        identified({"city": "Rome"}, via=via, at=ago(40)),
        tracked("Searched", via=via, at=ago(40)),
        tracked("Order Completed", {"order_id": 1, "revenue": 10}, via=via, at=ago(40)),
        tracked("Searched", via=via),
    )
    before = await get(f"/v1/customers/{via}")
    await keep(runtime, behaviour=24)
    await jobs.drop_months(runtime)
    async with runtime.database.read() as session:
        left = {name for name in await parts(session) if f"{ago(40):%Y_%m}" in name}
    assert left == {f"event_{ago(40):%Y_%m}_transactions"}
    items = (await get(f"/v1/customers/{via}/timeline"))["items"]
    assert [item["name"] for item in items] == ["Searched", "Order Completed"]
    after = await get(f"/v1/customers/{via}")
    for section in ("traits", "counters", "orders", "first_seen", "last_seen"):
        assert after[section] == before[section]
    assert after["counters"]["Searched"]["count"] == 2
    await keep(runtime, transactions=30)
    await jobs.drop_months(runtime)
    await keep(runtime, service=30, lifecycle=30)
    await jobs.drop_months(runtime)
    async with runtime.database.read() as session:
        assert not {name for name in await parts(session) if f"{ago(40):%Y_%m}" in name}, "the month itself is gone"
    assert (await get(f"/v1/customers/{via}"))["orders"] == before["orders"]


async def test_a_clock_that_runs_ahead_drops_nothing(hear: Hear, get: Show, runtime: Runtime) -> None:
    """By the clock of the database all would be gone; by the newest event there is, nothing is older than a month."""
    via = uuid7()
    await keep(runtime, behaviour=240)
    await hear(tracked("Searched", via=via, at=ago(30)), tracked("Searched", via=via, at=ago(29)))
    await keep(runtime, behaviour=1)
    await jobs.drop_months(runtime)
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 2
    await hear(tracked("Searched", via=via, at=ago(0)))
    await jobs.drop_months(runtime)
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 1


async def test_what_would_be_dropped_at_once_counts_and_is_not_stored(hear: Hear, get: Show, runtime: Runtime) -> None:
    via = uuid7()
    ancient = [datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2020) for month in (1, 7)]
    async with runtime.database.read() as session:
        before = await parts(session)
    await hear(
        *(tracked("Searched", via=via, at=at, live=False) for at in ancient),
        identified({"city": "Rome"}, via=via, at=datetime(1970, 1, 1, tzinfo=UTC)),
        tracked("Searched", via=via, at=ago(30)),
        tracked("Order Completed", {"order_id": 1, "revenue": 10}, via=via, at=ago(30)),
    )
    async with runtime.database.read() as session:
        assert await parts(session) - before == {f"event_{ago(30):%Y_%m}_transactions"}
    shown = await get(f"/v1/customers/{via}")
    assert shown["counters"]["Searched"]["count"] == len(ancient) + 1
    assert (shown["traits"], shown["orders"]["count"]) == ({"city": "Rome"}, 1)
    assert [item["name"] for item in (await get(f"/v1/customers/{via}/timeline"))["items"]] == ["Order Completed"]


async def test_one_from_a_clock_that_is_years_ahead_happened_when_it_was_received(hear: Hear, get: Show) -> None:
    via = uuid7()
    far = tracked("Searched", via=via, at=datetime(2126, 1, 1, tzinfo=UTC))
    near = tracked("Viewed", via=via, at=datetime.now(UTC) + timedelta(days=300))
    await hear(far, near)
    items = {item["name"]: item for item in (await get(f"/v1/customers/{via}/timeline"))["items"]}
    assert items["Searched"]["at"] == items["Searched"]["received_at"]
    assert items["Viewed"]["at"] > items["Viewed"]["received_at"]
    shown = await get(f"/v1/customers/{via}")
    assert shown["last_seen"] == items["Viewed"]["at"]


async def test_one_clock_alone_does_not_tell_that_something_is_too_old(hear: Hear, get: Show) -> None:
    """As if the database's clock had jumped years ahead of whoever received the event."""
    via = uuid7()
    old = tracked("Searched", via=via, at=ago(30))
    await hear(msgspec.structs.replace(old, received_at=ago(30)))
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 1


async def test_a_drop_gives_way_to_who_is_reading(committed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    via, old = uuid7(), ago(26)
    async with committed.write() as session:
        await retention.write(session, {"behaviour": 36})
        await service.record(session, [tracked("Searched", via=via, at=old), tracked("Searched", via=via)])
        await retention.write(session, {"behaviour": 24})
    async with committed.read() as reader:
        await reader.execute(text("SELECT count(*) FROM event"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            async with asyncio.timeout(5), committed.write() as session:
                await retention.drop(session)
        async with asyncio.timeout(5), committed.write() as session:
            await service.record(session, [tracked("Searched", via=via)])
        monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.05)
        runtime = Runtime.__new__(Runtime)
        dropping = asyncio.create_task(_drop(runtime, committed))
        await asyncio.sleep(0.5)
        assert not dropping.done(), "it is tried again"
    await asyncio.wait_for(dropping, 10)
    async with committed.read() as session:
        assert f"event_{old:%Y_%m}_behaviour" not in await parts(session)
        assert (await session.execute(text("SELECT count(*) FROM event"))).scalar_one() == 2


async def _drop(runtime: Runtime, database: Database) -> None:
    runtime.database, runtime.stopping = database, asyncio.Event()
    await jobs.drop_months(runtime)


async def test_a_process_of_the_version_before_can_still_write(begun: WriteSession) -> None:
    await begun.execute(text("SELECT ensure_event_months(CAST(:months AS date[]))"), {"months": [ago(2).date()]})
    await begun.execute(
        text("INSERT INTO event (id, via, source, message_id, type, timestamp, received_at, live, body)"
             " VALUES (:id, :id, 'shop', 'm', 'page', :at, :at, true, '{}')"),
        {"id": uuid7(), "at": ago(2)},
    )  # fmt: skip
    stored = await begun.execute(text("SELECT tableoid::regclass::text, data_class FROM event"))
    assert [tuple(row) for row in stored] == [(f"event_{ago(2):%Y_%m}_behaviour", "behaviour")]


async def test_a_month_of_the_version_before_is_used_and_goes_with_the_longest_class(
    committed: Database, database_urls: SimpleNamespace
) -> None:
    """It is one table for every class, and is not divided afterwards."""
    part, starts = f"event_{ago(90):%Y_%m}", ago(90).replace(day=1)
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute(f"CREATE TABLE {part} (LIKE event INCLUDING DEFAULTS)")
    bounds = f"FROM ('{starts:%Y-%m-%d}+00') TO ('{ago(89):%Y-%m}-01+00')"
    await owner.execute(f"ALTER TABLE event ATTACH PARTITION {part} FOR VALUES {bounds}")
    await owner.close()
    order = {"order_id": 1, "revenue": 1}
    async with committed.write() as session:
        await retention.write(session, {"behaviour": 120, "transactions": 120})
        said = [tracked("Searched", at=ago(90)), tracked("Order Completed", order, at=ago(90)), tracked("Searched")]
        await service.record(session, said)
        await retention.write(session, {"behaviour": 24})
        assert await retention.drop(session) is None
        assert (await session.execute(text(f"SELECT count(*) FROM {part}"))).scalar_one() == 2
        await retention.write(session, {"transactions": 84})
        assert await retention.drop(session) == part


async def test_no_temporary_table_poses_as_one_of_ours_to_the_functions_of_the_owner(begun: WriteSession) -> None:
    name = f"event_{ago(3):%Y_%m}_service"
    await begun.execute(text(f"CREATE TEMPORARY TABLE {name} (id uuid) ON COMMIT DROP"))
    await begun.execute(text("CREATE TEMPORARY TABLE retention (data_class text, months int) ON COMMIT DROP"))
    await queries.ensure_parts(begun, {(ago(3).date().replace(day=1), "service"): datetime.now(UTC)})
    made = await begun.execute(text(f"SELECT to_regclass('profile.{name}') IS NOT NULL"))
    assert made.scalar_one()
    found = await begun.execute(
        text("""SELECT proname, proconfig FROM pg_proc
                WHERE prosecdef AND pronamespace = CAST('profile' AS regnamespace) AND proname LIKE '%event%'""")
    )
    functions = {row.proname: [item for item in row.proconfig if item.startswith("search_path")] for row in found}
    assert {"ensure_event_months", "ensure_event_parts", "make_event_part", "drop_event_part"} <= functions.keys()
    assert all(path.endswith("pg_temp") for [path] in functions.values())


async def test_the_settings(client: httpx.AsyncClient, get: Show, session: ReadSession) -> None:
    assert await get(PATH) == USUAL
    answer = await client.get(PATH)
    tag = answer.headers["ETag"]
    wanted = {**USUAL, "behaviour": 13}
    assert (await client.put(PATH, json=wanted)).status_code == 428
    changed = await client.put(PATH, json=wanted, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()) == (200, wanted)
    assert (await client.put(PATH, json=USUAL, headers={"If-Match": tag})).status_code == 412
    again = await client.put(PATH, json=wanted, headers={"If-Match": changed.headers["ETag"]})
    assert again.headers["ETag"] == changed.headers["ETag"], "nothing changed"
    audited = await session.execute(text("SELECT detail FROM audit WHERE action = 'retention.changed'"))
    assert audited.scalars().all() == [{"behaviour": {"from": 24, "to": 13}}]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"behaviour": 0}, "/behaviour"),
        ({"service": 241}, "/service"),
        ({"lifecycle": None}, "/lifecycle"),
        ({"photos": 3}, "/photos"),
    ],
)
async def test_settings_that_cannot_be(client: httpx.AsyncClient, change: dict[str, Any], pointer: str) -> None:
    answer = await client.put(PATH, json={**USUAL, **change}, headers={"If-Match": "*"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_who_may_not(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    for scope, method, status in (
        ("customers:read", "GET", 403),
        ("schema:read", "GET", 200),
        ("schema:read", "PUT", 403),
        ("schema:write", "PUT", 403),
        ("retention:write", "PUT", 200),
    ):
        headers = {"Authorization": f"Bearer {token(scope)}", "If-Match": "*"}
        body = USUAL if method == "PUT" else None
        assert (await client.request(method, PATH, json=body, headers=headers)).status_code == status
