"""What is kept of the past: who was in, for as long as it is told; versions, for as long as they may be asked for."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.segments.history import jobs, queries
from perennial.segments.memberships.queries import page_at
from perennial.segments.settings import SegmentsSettings

Do = Callable[..., Awaitable[None]]
SEGMENTS, PEOPLE = [UUID(int=n) for n in (1, 2)], [UUID(int=n) for n in (11, 12, 13)]
KEPT = SegmentsSettings.model_fields["membership_change_days"].default
CHANGES = text("""INSERT INTO membership_change (segment_id, customer_id, entered, at)
                  SELECT * FROM unnest(CAST(:s AS uuid[]), CAST(:c AS uuid[]), CAST(:e AS boolean[]),
                                       CAST(:a AS timestamptz[])) AS said (s, c, e, a) ORDER BY a""")
History = list[tuple[int, int, int]]


async def write(session: Any, moves: History, now: datetime) -> None:
    """Segment, customer, day before now: in and out by turns."""
    seen: dict[tuple[int, int], int] = {}
    rows = []
    for segment, customer, days in sorted(moves, key=lambda move: -move[2]):
        seen[segment, customer] = seen.get((segment, customer), 0) + 1
        entered = seen[segment, customer] % 2 == 1
        rows.append((SEGMENTS[segment], PEOPLE[customer], entered, now - timedelta(days=days)))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    await session.execute(CHANGES, dict(zip("scea", columns, strict=True)))


async def past(session: ReadSession, moments: list[datetime]) -> list[Any]:
    return [await page_at(session, segment, at, None, 100) for segment in SEGMENTS for at in moments]


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 60)), max_size=40),
    sweeps=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    block=st.integers(1, 3),
)
async def test_what_is_promised_is_answered_as_before(
    runtime: ServiceRuntime, moves: History, sweeps: list[int], block: int
) -> None:
    """However often it is swept, and however the table is divided."""
    now = datetime.now(UTC)
    moments = [now - timedelta(days=days) for days in range(61)]
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM membership_change"))
        await session.execute(text("DELETE FROM history_keeping"))
        await write(session, moves, now)
        before = await past(session, moments)
        for days in sweeps:
            until = await queries.promise(session, timedelta(days=days))
            for low in range(0, await queries.blocks(session), block):
                await queries.sweep(session, until, low, low + block)
            await queries.swept(session, until)
        least = min(sweeps)
        after = await past(session, moments)
        kept = [n % 61 < least for n in range(len(after))]
        assert [rows for rows, is_kept in zip(after, kept, strict=True) if is_kept] == [
            rows for rows, is_kept in zip(before, kept, strict=True) if is_kept
        ]
        old = await session.execute(
            text("SELECT entered FROM membership_change WHERE at < :until"), {"until": now - timedelta(days=least)}
        )
        assert all(old.scalars())


async def test_who_was_in_is_told_of_what_is_kept_and_refused_before(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    made = await client.post("/v1/segments", json={"name": "seen", "rule": {"event": "Seen"}})
    segment = made.json()["id"]
    await settle()
    who = tracked("Seen")
    await hear(who)
    now = datetime.now(UTC)
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE membership_change SET at = at - interval '500 days'"))
        gone = {"s": [UUID(segment)] * 2, "c": [uuid4()] * 2, "e": [True, False]}
        await session.execute(CHANGES, {**gone, "a": [now - timedelta(days=days) for days in (450, 420)]})
    url = f"/v1/segments/{segment}/members"
    ages = (410, KEPT - 5)
    then = [(now - timedelta(days=days)).isoformat() for days in ages]
    told = [await client.get(url, params={"at": at}) for at in then]
    assert [len(answer.json()["items"]) for answer in told] == [1, 1]
    await jobs.keep_history(runtime)
    early, late = [await client.get(url, params={"at": at}) for at in then]
    assert (early.status_code, early.json()["code"], early.json()["errors"][0]["pointer"]) == (
        422,
        "not_kept",
        "query/at",
    )
    assert [item["customer_id"] for item in late.json()["items"]] == [str(who.via)]
    async with runtime.database.read() as reading:
        left = (await reading.execute(text("SELECT customer_id FROM membership_change"))).scalars().all()
    assert left == [who.via]
    history = (await client.get(f"/v1/customers/{who.via}/segments/history")).json()
    assert len(history["items"]) == 1
    since = datetime.fromisoformat(history["complete_since"])
    assert abs(since - (now - timedelta(days=KEPT))) < timedelta(hours=1)
    await jobs.keep_history(runtime)


async def test_what_was_promised_less_stays_less(runtime: ServiceRuntime) -> None:
    async with runtime.database.write() as session:
        first = await queries.promise(session, timedelta(days=40))
        assert await queries.promise(session, timedelta(days=400)) == first
        assert await queries.promise(session, timedelta(days=31)) > first


@pytest.mark.parametrize("serving", [4, 2])
async def test_versions_go_years_after_they_were_followed_but_for_those_that_are_needed(
    client: httpx.AsyncClient, settle: Do, runtime: ServiceRuntime, serving: int
) -> None:
    made = await client.post("/v1/segments", json={"name": "0", "rule": {"event": "Seen"}})
    url = f"/v1/segments/{made.json()['id']}"
    await settle()
    for number in range(1, 4):
        answer = await client.patch(url, json={"name": str(number)}, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE segment_version SET at = at - make_interval(days => 1105 - version)"))
        await session.execute(text("UPDATE segment_version SET at = now() WHERE version = 4"))
        await session.execute(text("UPDATE segment SET serving_version = :serving"), {"serving": serving})
    await jobs.keep_history(runtime)
    left = [item["version"] for item in (await client.get(f"{url}/versions")).json()["items"]]
    assert left == [4, 3, *({2} & {serving})], "the third was the newest until just now"
