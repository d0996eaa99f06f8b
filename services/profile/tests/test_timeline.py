"""The timeline: complete, ordered, filtered, paged; months made on demand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import httpx
import msgspec
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile import jobs
from perennial.profile.timeline import kinds, queries, service

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def pages(get: Show, path: str, limit: int, **params: Any) -> list[Any]:
    """Every page of a list; the last one says so."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(path, limit=limit, **params, **cursor)
        found.append(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_everything_that_happened_newest_first(hear: Hear, get: Show) -> None:
    via, other = uuid7(), uuid7()
    events = [
        tracked("Product Viewed", {"n": n}, via=other if n % 3 else via, customer=via, at=NOON - timedelta(days=n * 11))
        for n in range(20)
    ]
    await hear(*events[10:])
    await hear(*events[:10])
    shown = [item for page in await pages(get, f"/v1/customers/{other}/events", 7) for item in page]
    assert [item["body"]["properties"]["n"] for item in shown] == list(range(20))
    assert shown[0] == {
        "id": str(events[0].id),
        "message_id": events[0].message_id,
        "type": "track",
        "name": "Product Viewed",
        "timestamp": "2026-05-01T12:00:00Z",
        "received_at": events[0].received_at.isoformat().replace("+00:00", "Z"),
        "original_timestamp": None,
        "sent_at": None,
        "source": "shop",
        "live": True,
        "via": str(via),
        "body": msgspec.json.decode(events[0].body),
    }


async def test_pages_are_stable_while_events_arrive_and_when_instants_tie(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(*(tracked("Tick", via=via, at=NOON) for _ in range(9)))
    first = await get(f"/v1/customers/{via}/events", limit=4)
    await hear(*(tracked("Tock", via=via, at=NOON + timedelta(days=n)) for n in range(5)))
    rest = await get(f"/v1/customers/{via}/events", limit=10, cursor=first["next_cursor"])
    seen = [item["id"] for item in first["items"] + rest["items"] if item["name"] == "Tick"]
    assert (len(seen), len(set(seen)), rest["next_cursor"]) == (9, 9, None)


async def test_filters(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(
        *(tracked("Product Viewed", via=via, at=NOON + timedelta(hours=n)) for n in range(5)),
        tracked("Completed Order", {"order_id": 1}, via=via, at=NOON),
        identified({"a": 1}, via=via, at=NOON),
    )
    path = f"/v1/customers/{via}/events"
    assert [item["name"] for item in (await get(path, name="Order Completed"))["items"]] == ["Order Completed"]
    assert [item["name"] for item in (await get(path, type="identify"))["items"]] == [None]
    window = await get(path, from_="2026-05-01T21:00:00+08:00", to="2026-05-01T14:00:00Z")
    assert [item["timestamp"] for item in window["items"]] == ["2026-05-01T14:00:00Z", "2026-05-01T13:00:00Z"]


async def test_an_event_by_its_message_id(hear: Hear, get: Show, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await hear(
        tracked("A", via=via, message_id="same/id", source="web"),
        tracked("B", via=via, message_id="same/id", source="app", at=NOON),
    )
    assert (await get("/v1/events/same%2Fid", source="web"))["name"] == "A"
    assert (await get("/v1/events/same/id", source="app"))["name"] == "B"
    assert (await client.get("/v1/events/none")).status_code == 404
    assert (await client.get("/v1/events/same%2Fid", params={"source": "till"})).status_code == 404


async def test_a_repeat_counts_once(hear: Hear, get: Show) -> None:
    via = uuid7()
    event = tracked("Product Viewed", via=via)
    await hear(event, event)
    await hear(event)
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 1
    assert (await get(f"/v1/customers/{via}"))["counters"]["Product Viewed"]["count"] == 1


async def test_counters_and_last_seen(hear: Hear, get: Show) -> None:
    via = uuid7()
    away = tracked("Email Delivered", via=via, at=NOON + timedelta(days=2))
    body = b'{"type":"track","event":"Email Delivered","context":{"active":false}}'
    page = msgspec.structs.replace(tracked("Home", via=via, at=NOON), type="page")
    await hear(
        msgspec.structs.replace(away, body=msgspec.Raw(body)),
        tracked("Product Viewed", {"active": False}, via=via, at=NOON + timedelta(days=1)),
        tracked("Viewed Product", via=via, at=NOON),
        page,
        identified({}, via=via, at=NOON - timedelta(days=1)),
    )
    shown = await get(f"/v1/customers/{via}")
    assert shown["counters"] == {
        "Email Delivered": {"count": 1, "first": "2026-05-03T12:00:00Z", "last": "2026-05-03T12:00:00Z"},
        "Product Viewed": {"count": 2, "first": "2026-05-01T12:00:00Z", "last": "2026-05-02T12:00:00Z"},
        "page": {"count": 1, "first": "2026-05-01T12:00:00Z", "last": "2026-05-01T12:00:00Z"},
    }
    assert (shown["first_seen"], shown["last_seen"]) == ("2026-04-30T12:00:00Z", "2026-05-02T12:00:00Z")
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 5


async def test_one_who_was_never_active_has_not_been_seen(hear: Hear, get: Show) -> None:
    via = uuid7()
    event = tracked("Email Delivered", via=via)
    for active in (b'{"context":{"active":false}}', b'{"context":{"active":"odd"}}'):
        await hear(msgspec.structs.replace(event, id=uuid7(), body=msgspec.Raw(active)))
        shown = await get(f"/v1/customers/{via}")
        assert (shown["last_seen"] is None) == (b"false" in active)


async def test_months_lie_between_midnights_in_utc(hear: Hear, get: Show, runtime: Runtime) -> None:
    shanghai = timezone(timedelta(hours=8))
    via = uuid7()
    await hear(
        tracked("B", via=via, at=datetime(2026, 3, 1, 7, 59, tzinfo=shanghai)),
        tracked("C", via=via, at=datetime(2026, 3, 1, 8, 0, tzinfo=shanghai)),
        tracked("Order Completed", {"order_id": 1}, via=via, at=datetime(2026, 3, 1, 8, 0, tzinfo=shanghai)),
    )
    async with runtime.database.read() as session:
        rows = await session.execute(text("SELECT tableoid::regclass::text, name FROM event ORDER BY name"))
        assert [tuple(row) for row in rows] == [
            ("event_2026_02_behaviour", "B"),
            ("event_2026_03_behaviour", "C"),
            ("event_2026_03_transactions", "Order Completed"),
        ]
    assert len((await get(f"/v1/customers/{via}/events"))["items"]) == 3


def ago(months: int) -> datetime:
    """The middle of a month that long ago."""
    now = datetime.now(UTC)
    month = now.year * 12 + now.month - 1 - months
    return datetime(month // 12, month % 12 + 1, 15, tzinfo=UTC)


def behaviour(*instants: datetime) -> dict[queries.Part, datetime]:
    return {(service.month_of(at), "behaviour"): datetime.now(UTC) for at in instants}


async def test_two_writers_may_need_the_same_new_months(committed: Database) -> None:
    """Both ask for months that nobody has, in opposite order; the second waits for the first, nothing is lost."""

    async def write(events: list[ResolvedEvent], first: dict[queries.Part, datetime], pause: float) -> None:
        async with committed.write() as session:
            if first:
                await queries.ensure_parts(session, first)
            await asyncio.sleep(pause)
            await service.record(session, events)

    old = [ago(months) for months in (23, 22, 21)]
    left, right = ([tracked("Import", at=at, live=False) for at in old] for _ in range(2))
    await asyncio.wait_for(
        asyncio.gather(
            write(left, behaviour(*old[:2]), 0.2), write(right, behaviour(*old[::-1]), 0.1), write(right, {}, 0.0)
        ),
        10,
    )
    async with committed.read() as session:
        rows = await session.execute(text("SELECT tableoid::regclass::text, count(*) FROM event GROUP BY 1 ORDER BY 1"))
        assert [tuple(row) for row in rows] == [(f"event_{at:%Y_%m}_behaviour", 3) for at in old]


async def test_documents_are_not_analysed(committed: Database) -> None:
    """Neither in the parts that there are nor in new ones: ANALYZE would spend more on them than on all else."""
    async with committed.write() as session:
        await queries.ensure_parts(session, behaviour(NOON, ago(20)))
        found = text("""SELECT attrelid::regclass::text, array_agg(attname::text ORDER BY attname) FROM pg_attribute
                        WHERE attstattarget = 0 AND attnum > 0 GROUP BY 1""")
        told = {row[0]: row[1] for row in await session.execute(found)}
    assert told[f"event_{ago(20):%Y_%m}_behaviour"] == told["event"] == ["body"]
    assert told["trait"] == ["first_value", "value"]


async def test_a_month_being_made_stops_neither_readers_nor_other_writers(committed: Database) -> None:
    async with committed.write() as session:
        await service.record(session, [tracked("Today", at=NOON)])
    async with committed.write() as maker:
        await queries.ensure_parts(maker, behaviour(ago(20)))
        async with asyncio.timeout(5), committed.write() as session:
            await service.record(session, [tracked("Today", at=NOON)])
            assert (await session.execute(text("SELECT count(*) FROM event"))).scalar_one() == 2


async def test_the_job_makes_the_months_to_come(runtime: Runtime) -> None:
    assert jobs.coming(date(2026, 11, 30)) == [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]
    await jobs.make_months(runtime)
    await jobs.make_months(runtime)
    async with runtime.database.read() as session:
        names = [
            f"event_{month:%Y_%m}_{name}" for month in jobs.coming(datetime.now(UTC).date()) for name in kinds.CLASSES
        ]
        found = await session.execute(
            text("SELECT to_regclass(name) FROM unnest(CAST(:n AS text[])) AS name"), {"n": names}
        )
        assert None not in found.scalars().all()


async def test_the_login_role_can_only_add_to_the_timeline(committed: Database) -> None:
    connection = await committed.listen_connection()
    try:
        rows = await connection.fetch(
            """SELECT has_table_privilege(oid, 'UPDATE') OR has_table_privilege(oid, 'DELETE') AS may
               FROM pg_class WHERE relname ~ '^event(_|$)' AND relkind IN ('r', 'p')"""
        )
        assert {row["may"] for row in rows} == {False}
    finally:
        await connection.close()


async def test_all_four_timestamps(hear: Hear, get: Show) -> None:
    via = uuid7()
    body = b'{"type":"track","event":"A","originalTimestamp":"2026-05-02T11:00:00+01:00","timestamp":"2026-05-02"}'
    sent = NOON + timedelta(days=1)
    event = tracked("A", via=via, at=NOON - timedelta(hours=2), message_id="four")
    await hear(msgspec.structs.replace(event, body=msgspec.Raw(body), sent_at=sent), tracked("B", message_id="one"))
    shown = await get("/v1/events/four")
    assert shown["original_timestamp"] == "2026-05-02T11:00:00+01:00"
    assert (shown["sent_at"], shown["timestamp"]) == ("2026-05-02T12:00:00Z", "2026-05-01T10:00:00Z")
    assert shown["received_at"] == event.received_at.isoformat().replace("+00:00", "Z")
    assert (await get("/v1/events/one"))["sent_at"] is None
    assert (await get(f"/v1/customers/{via}/events"))["items"][0] == shown
