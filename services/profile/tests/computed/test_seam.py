"""The past is counted while events go on, by real commits: nothing twice, nothing left out, whoever dies."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from nats.aio.msg import Msg
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.decode import resolved
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import tracked
from perennial.profile.computed import backfill, prune, service
from perennial.profile.computed.jobs import build_once
from perennial.profile.computed.schemas import ComputedIn

EVERYBODY = Principal("staff", "tester", frozenset("*"), fields=frozenset("*"))
Wrap = Callable[[list[ResolvedEvent]], Msg]
PRICE = {"key": "spent", "label": {"en": "Spent"}, "function": "sum", "events": ["Bought"], "property": "price"}
VIAS = [uuid7() for _ in range(20)]


class Dead(Exception):  # noqa: N818 (a death is no error)
    """The process ends before its commit."""


@pytest.fixture
def runtime(service: Service, settings: CommonSettings, committed: Database) -> ServiceRuntime:
    return ServiceRuntime(service, settings, committed, nats=cast("Any", None))


def bought(dice: random.Random, number: int) -> ResolvedEvent:
    at = datetime.now(UTC) - timedelta(days=dice.choice([0, 10, 40, 70, 100]), minutes=dice.randrange(900))
    return tracked("Bought", {"price": 1}, via=dice.choice(VIAS), at=at, message_id=str(number), live=False)


async def _declare(runtime: ServiceRuntime) -> None:
    async with runtime.database.write() as session:
        body = ComputedIn.model_validate(PRICE)
        await service.define(session, EVERYBODY, body.key, body.labels(), body.spec())


async def _talk(runtime: ServiceRuntime, wrap: Wrap, dice: random.Random, first: int) -> None:
    process = BatchProcessor(runtime, [item for item in runtime.service.reactions if item.hot], resolved)
    for number in range(first, first + 300, 10):
        await process([wrap([bought(dice, number + place) for place in range(10)])])
        await asyncio.sleep(dice.random() / 100)


async def _build(runtime: ServiceRuntime, dice: random.Random, done: asyncio.Event) -> None:
    while True:
        try:
            async with runtime.database.write() as session:
                more = await build_once(session)
                if dice.random() < 0.3:
                    raise Dead
        except Dead:
            continue
        if not more and done.is_set():
            return
        await asyncio.sleep(0)


async def _counted(runtime: ServiceRuntime) -> tuple[int, int]:
    async with runtime.database.read() as session:
        return (
            int((await session.execute(text("SELECT coalesce(sum(n), 0) FROM computed_partial"))).scalar_one()),
            int((await session.execute(text("SELECT count(*) FROM event"))).scalar_one()),
        )


async def test_events_go_on_while_the_past_is_counted(
    runtime: ServiceRuntime, wrap: Wrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "STEP", 15)
    dice = random.Random(7)
    done = asyncio.Event()
    await _talk(runtime, wrap, dice, 0)
    async with asyncio.TaskGroup() as group:
        talks = [group.create_task(_talk(runtime, wrap, dice, first)) for first in (1000, 2000)]
        await _declare(runtime)
        builds = [group.create_task(_build(runtime, dice, done)) for _ in range(2)]
        await asyncio.gather(*talks)
        done.set()
        await asyncio.gather(*builds)
    assert await _counted(runtime) == (900, 900)


async def test_what_the_timeline_no_longer_keeps_is_counted_as_it_comes(runtime: ServiceRuntime, wrap: Wrap) -> None:
    dice = random.Random(1)
    await _talk(runtime, wrap, dice, 0)
    await _declare(runtime)
    async with runtime.database.write() as session:
        await build_once(session)  # it has begun, and passed nothing yet
    ancient = tracked("Bought", {"price": 1}, via=VIAS[0], at=datetime.now(UTC) - timedelta(days=4000), live=False)
    await BatchProcessor(runtime, [item for item in runtime.service.reactions if item.hot], resolved)([wrap([ancient])])
    async with runtime.database.write() as session:
        while await build_once(session):
            pass
    assert await _counted(runtime) == (301, 300)


async def test_what_was_counted_stays_when_the_timeline_is_dropped(runtime: ServiceRuntime, wrap: Wrap) -> None:
    await _declare(runtime)
    async with runtime.database.write() as session:
        while await build_once(session):
            pass
    now = datetime.now(UTC)
    old = tracked("Bought", {"price": 5}, via=VIAS[0], at=now - timedelta(days=600), live=False)
    said = [old, tracked("Looked", via=VIAS[0], at=now)]
    await BatchProcessor(runtime, [item for item in runtime.service.reactions if item.hot], resolved)([wrap(said)])
    async with runtime.database.write() as session:
        await session.execute(text("INSERT INTO retention (data_class, months) VALUES ('behaviour', 6)"))
        while (await session.execute(text("SELECT drop_event_part()"))).scalar_one() is not None:
            pass
    assert await _counted(runtime) == (1, 1)


async def test_what_nothing_asks_for_is_cleared_away(
    runtime: ServiceRuntime, wrap: Wrap, seed: Callable[[Database], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "MOST_WORDS", 3)
    await seed(runtime.database)
    names = {"key": "names", "label": {"en": "n"}, "function": "unique_count", "events": ["Bought"], "property": "name"}
    lately = {"key": "lately", "label": {"en": "n"}, "function": "count", "events": ["Bought"], "window": "P3D"}
    async with runtime.database.write() as session:
        for body in map(ComputedIn.model_validate, (names, lately)):
            await service.define(session, EVERYBODY, body.key, body.labels(), body.spec())
        while await build_once(session):
            pass
    now = datetime.now(UTC)
    said = [
        tracked("Bought", {"name": f"n{number}"}, via=VIAS[0], at=now - timedelta(days=number * 8), live=False)
        for number in range(7)
    ]
    await BatchProcessor(runtime, [item for item in runtime.service.reactions if item.hot], resolved)([wrap(said)])
    async with runtime.database.write() as session:
        orphan = text("INSERT INTO computed_partial (via, feed, bucket, word) VALUES (:via, 999, now(), '')")
        await session.execute(orphan, {"via": VIAS[0]})
        while await prune.prune(session, now):
            pass
        rows = (await session.execute(text("SELECT word, n FROM computed_partial ORDER BY n, word"))).all()
    assert sorted(row.n for row in rows) == [*[1] * 3, *[1] * 5, 4], "three names and four others; the last 33 days"
    assert [row.word for row in rows if row.n == 4] == [""]
