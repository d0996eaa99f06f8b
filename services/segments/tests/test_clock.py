"""The clock, slow rules and the nightly comparison: nobody is late, nobody holds up the others."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common import firing, timers
from perennial.common.derive import mark
from perennial.common.ids import partition_of, uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.segments import jobs
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships import queries, reconcile, service
from perennial.segments.memberships.asking import Asked, Segment

Do = Callable[..., Awaitable[None]]
NOW = datetime.now(UTC)
RECENT = {"event": "Order Completed", "within": "P30D"}


def order(via: UUID | None = None, days: float = 0) -> Any:
    at = NOW - timedelta(days=days)
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, via=via, at=at)


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str = "recent") -> str:
    answer = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def members(client: httpx.AsyncClient, segment: str) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment}/members")).json()["items"]
    return {item["customer_id"] for item in listed}


async def waiting(runtime: ServiceRuntime) -> list[Any]:
    async with runtime.database.read() as session:
        asked = "SELECT kind, key, due_at, partition, payload FROM timer WHERE kind = 'flip' ORDER BY key"
        return list((await session.execute(text(asked))).all())


async def test_a_customer_has_one_timer_the_first_of_all_rules(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    first = order(days=20)
    for days in (25, 30, 40):
        await define(client, {**RECENT, "within": f"P{days}D"}, str(days))
    await settle()
    await hear(first)
    [timer] = await waiting(runtime)
    assert (timer.key, timer.due_at - first.timestamp) == (str(first.via), timedelta(days=25))
    await hear(order(first.via, days=1))
    [timer] = await waiting(runtime)
    assert timer.due_at - first.timestamp == timedelta(days=25), "a member who orders again is not asked at all"
    async with runtime.database.write() as session:
        await mark(session, [first.via], live=True)
    await settle()
    [timer] = await waiting(runtime)
    assert timer.due_at - first.timestamp > timedelta(days=26), "whoever asks puts it off"


async def test_a_timer_waits_for_the_partitions_of_all_identifiers(
    client: httpx.AsyncClient,
    hear: Do,
    assign: Do,
    settle: Do,
    runtime: ServiceRuntime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a purchase that waits in another partition would come after the exit that it prevents."""
    one = uuid7()
    other = next(via for _ in range(1000) if partition_of(via := uuid7()) != partition_of(one))
    await define(client, RECENT)
    await settle()
    await hear(order(one, days=29), tracked("Seen", via=other))
    await assign(other, one, version=2)
    both = sorted({partition_of(one), partition_of(other)})
    [timer] = await waiting(runtime)
    assert [timer.partition, *timer.payload["then"]] == both
    lagging = {both[1]}

    async def passed(_: ServiceRuntime, partitions: Sequence[int | None]) -> dict[int | None, datetime]:
        return {partition: NOW if partition in lagging else NOW + timedelta(days=9) for partition in partitions}

    monkeypatch.setattr(firing, "_passed", passed)
    late = NOW + timedelta(days=2)
    for _ in range(3):
        await firing.fire_due(runtime, late)
    assert [timer.partition for timer in await waiting(runtime)] == both[1:], "handed on to the second, which lags"
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM stale"))).scalar_one() == 0
    lagging.clear()
    assert await firing.fire_due(runtime, late) == 1
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT customer_id, live FROM stale"))).all() == [(one, True)]


async def test_nobody_leaves_by_the_clock_before_what_waits_is_heard(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    """An outage ends: the window has run out, the purchase during it still waits, and something else comes first."""
    segment = await define(client, RECENT)
    await settle()
    first = order(days=29)
    await hear(first)
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE event SET at = at - interval '2 days'"))
        await session.execute(text("UPDATE timer SET due_at = due_at - interval '2 days' WHERE kind = 'flip'"))
    await hear(tracked("Seen", via=first.via))
    assert await members(client, segment) == {str(first.via)}, "the timer has not fired"
    [timer] = await waiting(runtime)
    assert timer.due_at == first.timestamp + timedelta(days=28)
    shown = (await client.get(f"/v1/segments/{segment}")).json()["as_of"]
    assert datetime.fromisoformat(shown) == timer.due_at, "until then it is right"
    await hear(order(first.via, days=0.5))
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM timer WHERE kind = 'flip'"))
        await service.flip(session, [timers.Timer("flip", timer.key, timer.due_at, {"customer": timer.key})])
    await settle()
    async with runtime.database.read() as session:
        changes = (await session.execute(text("SELECT entered FROM membership_change"))).scalars().all()
    assert (await members(client, segment), changes) == ({str(first.via)}, [True])


async def test_what_is_overdue_of_who_is_merged_away_is_waited_for(
    client: httpx.AsyncClient, hear: Do, assign: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    segment = await define(client, RECENT)
    await settle()
    first, other = order(days=29), tracked("Seen")
    await hear(first, other)
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE event SET at = at - interval '2 days'"))
        await session.execute(text("UPDATE timer SET due_at = due_at - interval '2 days' WHERE kind = 'flip'"))
    await assign(first.via, other.via, version=2)
    assert await members(client, segment) == {str(other.via)}, "the purchase that keeps them may still wait"
    [timer] = await waiting(runtime)
    assert (timer.key, timer.due_at) == (str(other.via), first.timestamp + timedelta(days=28))


async def test_who_is_merged_away_leaves_no_timer(
    client: httpx.AsyncClient, hear: Do, assign: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    one, other = order(), order(days=3)
    await define(client, RECENT)
    await settle()
    await hear(one, other)
    assert len(await waiting(runtime)) == 2
    await assign(other.via, one.via, version=2)
    assert [timer.key for timer in await waiting(runtime)] == [str(one.via)]


async def test_a_rule_that_is_slow_in_memory_is_taken_out_of_service(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = await define(client, RECENT, "slow"), await define(client, {"event": "Seen"}, "quick")
    await settle()
    clock = iter(range(100, 10_000_000, 100))
    real = Asked.ask
    busy: list[bool] = []

    def asked(self: Asked, place: int, segment: Segment, *args: Any) -> None:
        busy.append(str(segment.id) == slow)
        real(self, place, segment, *args)

    monkeypatch.setattr(Asked, "ask", asked)
    monkeypatch.setattr(time, "thread_time", lambda: next(clock) if busy and busy[-1] else 0.0)
    who = order()
    await hear(who, tracked("Seen", via=who.via))
    found = (await client.get(f"/v1/segments/{slow}")).json()
    assert (found["state"], found["serving_version"], found["as_of"]) == ("failed", None, None)
    assert "too slow" in found["error"]
    monkeypatch.undo()
    another = tracked("Seen")
    await hear(another)
    assert await members(client, quick) == {str(who.via), str(another.via)}
    await client.post(f"/v1/segments/{slow}/publish", headers={"If-Match": "*"})
    await settle()
    assert await members(client, slow) == {str(who.via)}


async def test_the_nightly_comparison_repairs_what_drifted_and_passes_by_what_is_slow(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = await define(client, RECENT, "slow"), await define(client, {"event": "Seen"}, "quick")
    await settle()
    who = order()
    await hear(who, tracked("Seen", via=who.via))
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM membership"))
    real = queries.drift

    async def drift(session: Any, segment_id: UUID, held: Any) -> list[UUID]:
        if str(segment_id) == slow:
            await session.execute(text("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)"))
        return await real(session, segment_id, held)

    monkeypatch.setattr(queries, "drift", drift)
    await jobs.reconcile(runtime)
    await settle()
    assert (await members(client, quick), await members(client, slow)) == ({str(who.via)}, {str(who.via)})


async def test_who_waits_for_the_clock_or_to_be_computed_is_no_drift(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    segment = await define(client, RECENT)
    await settle()
    who = order(days=29)
    await hear(who)
    assert await members(client, segment) == {str(who.via)}
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE event SET at = at - interval '2 days'"))
        await session.execute(text("UPDATE timer SET due_at = now() - interval '1 second' WHERE kind = 'flip'"))
        [row] = await definitions.serving(session)
        assert await reconcile.reconcile(session, row) == 0
        await session.execute(text("DELETE FROM timer WHERE kind = 'flip'"))
        assert await reconcile.reconcile(session, row) == 1


async def test_a_rule_of_a_later_version_holds_up_nobody(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    """Two versions run side by side during an upgrade, and the earlier one has not learnt all words yet."""
    later, plain = await define(client, RECENT, "later"), await define(client, {"event": "Seen"}, "plain")
    await settle()
    async with runtime.database.write() as session:
        await session.execute(
            text("""UPDATE segment SET serving_rule = '{"psychic": true}', serving_version = 2, version = 2
                    WHERE id = :id"""),
            {"id": later},
        )
    who = tracked("Seen")
    await hear(who)
    assert await members(client, plain) == {str(who.via)}
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM membership"))
    await jobs.reconcile(runtime)
    await settle()
    assert await members(client, plain) == {str(who.via)}


async def test_a_second_window_waits_for_the_pipeline_behind_a_first_that_is_overdue(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage ends: the pipeline has come past the first one's end, and not past the purchase before the second's."""
    short = await define(client, {**RECENT, "within": "P10D"}, "short")
    long = await define(client, RECENT, "long")
    await settle()
    first = order(days=9.5)
    await hear(first)
    async with runtime.database.write() as session:  # three weeks later
        await session.execute(text("UPDATE event SET at = at - interval '21 days'"))
        await session.execute(text("UPDATE timer SET due_at = due_at - interval '21 days' WHERE kind = 'flip'"))
    come = NOW - timedelta(days=1)

    async def passed(_: ServiceRuntime, partitions: Sequence[int | None]) -> dict[int | None, datetime]:
        return dict.fromkeys(partitions, come)

    monkeypatch.setattr(firing, "_passed", passed)
    for _ in range(3):
        await firing.fire_due(runtime, datetime.now(UTC))
        async with runtime.database.write() as session:
            await mark(session, [first.via], live=False)  # of what it is about nothing is known
        await settle()
    assert (await members(client, short), await members(client, long)) == (set(), {str(first.via)})
    [timer] = await waiting(runtime)
    assert timer.due_at == first.timestamp + timedelta(days=9)
    await hear(order(first.via, days=0.7))
    come = NOW
    await firing.fire_due(runtime, datetime.now(UTC))
    await settle()
    async with runtime.database.read() as reading:
        asked = text("SELECT entered FROM membership_change WHERE segment_id = :id")
        changes = (await reading.execute(asked, {"id": UUID(long)})).scalars().all()
    assert (await members(client, short), await members(client, long)) == ({str(first.via)}, {str(first.via)})
    assert changes == [True], "nobody left for a moment"
