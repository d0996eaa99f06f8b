"""Events by month: divided, made ahead, dropped when no rule looks back so far, and told where a rule looks further."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import World
from perennial.segments.main import SERVICE
from perennial.segments.months import jobs, queries, service
from perennial.segments.settings import SegmentsSettings

Do = Callable[..., Awaitable[Any]]
ALWAYS: dict[str, Any] = {"event": "Order Completed", "count": {"gte": 2}}
RECENT: dict[str, Any] = {"event": "Order Completed", "within": "P30D"}
YEARS: dict[str, Any] = {"event": "Order Completed", "within": "P900D"}


def order(via: UUID | None = None, days: float = 0) -> Any:
    at = datetime.now(UTC) - timedelta(days=days)
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, via=via, at=at)


async def parts(runtime: ServiceRuntime) -> dict[str, int]:
    """The parts that hold something, and how many events."""
    async with runtime.database.read() as session:
        rows = await session.execute(text("SELECT tableoid::regclass::text, count(*) FROM event GROUP BY 1 ORDER BY 1"))
        return {name.split(".")[-1].strip('"'): count for name, count in rows}


def month(days: float) -> str:
    return f"event_{datetime.now(UTC) - timedelta(days=days):%Y_%m}"


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str = "x", **more: Any) -> dict[str, Any]:
    made = await client.post("/v1/segments", json={"name": name, "rule": rule, **more})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_what_is_older_is_moved_to_its_month_and_dropped_when_nobody_asks(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    recent = await define(client, RECENT)
    await settle()
    who = order()
    await hear(who, order(who.via, days=200), order(who.via, days=700), order(who.via, days=-900))
    assert await parts(runtime) == {month(0): 1, "event_rest": 3}
    await jobs.keep_months(runtime)
    assert await parts(runtime) == {month(0): 1, month(200): 1, "event_rest": 1}, "two years are kept by no rule"
    async with runtime.database.read() as session:
        since = await queries.complete_since(session)
    assert since is not None
    assert timedelta(days=600) < datetime.now(UTC) - since < timedelta(days=700)
    assert recent["events_since"] is None
    wider = await define(client, YEARS, "wider")
    assert datetime.fromisoformat(wider["events_since"]) == since, "its owner is told what is missing"
    tried = await client.post("/v1/segments/preview", json={"rule": ALWAYS})
    assert datetime.fromisoformat(tried.json()["events_since"]) == since
    tried = await client.post("/v1/segments/preview", json={"rule": RECENT})
    assert tried.json()["events_since"] is None


@pytest.mark.parametrize("rule", [YEARS, ALWAYS, {"any": [RECENT, {"not": ALWAYS}]}])
async def test_nothing_is_dropped_that_some_rule_asks_for(
    client: httpx.AsyncClient, hear: Do, runtime: ServiceRuntime, rule: dict[str, Any]
) -> None:
    await define(client, rule, draft=True)
    who = order(days=700)
    await hear(who)
    await jobs.keep_months(runtime)
    assert await parts(runtime) == {month(700): 1}
    assert (await define(client, ALWAYS, "other"))["events_since"] is None


async def test_a_rule_of_a_later_version_keeps_everything(client: httpx.AsyncClient, runtime: ServiceRuntime) -> None:
    await define(client, RECENT)
    least = timedelta(days=SegmentsSettings.model_fields["event_days"].default)
    async with runtime.database.write() as session:
        assert await service.kept_for(session, least) == least
        assert await service.kept_for(session, timedelta(days=1)) == timedelta(days=30)
        await session.execute(text("""UPDATE segment SET serving_rule = '{"psychic": true}'"""))
        assert await service.kept_for(session, least) is None


async def test_a_repeat_finds_its_event_in_whichever_month_it_lies(
    client: httpx.AsyncClient, hear: Do, runtime: ServiceRuntime
) -> None:
    await define(client, ALWAYS)
    who = order(days=200)
    await hear(who)
    await jobs.keep_months(runtime)
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM inbox"))
    await hear(who)
    assert await parts(runtime) == {month(200): 1}


async def test_a_drop_gives_way_to_who_is_reading(
    committed: Database, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    monkeypatch.setattr(jobs, "ATTEMPTS", 1)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.0)
    await World(runtime).hear(order(days=700))
    async with committed.write() as session:
        [old] = [one for one in await queries.wanted(session) if one < datetime.now(UTC).date() - timedelta(99)]
        assert await queries.make(session, old)
    assert await parts(runtime) == {month(700): 1}
    async with committed.read() as reading:
        await reading.execute(text("SELECT count(*) FROM event"))
        await jobs.drop_months(runtime)
        assert await parts(runtime) == {month(700): 1}
    await jobs.drop_months(runtime)
    assert await parts(runtime) == {}
