"""Jobs remember when they ran last: a start of a worker is no reason to run them, and nothing stops them for ever."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common import jobs
from perennial.common.db import Database
from perennial.common.jobs import run_once
from perennial.common.service import Job, Service, ServiceRuntime
from perennial.common.settings import CommonSettings

DAY = timedelta(days=1)


class Work:
    """A job whose runs are counted; it fails as long as it is told to, and can be held up."""

    def __init__(self, every: timedelta = DAY, name: str = "work") -> None:
        self.job = Job(name, every, self.run)
        self.runs, self.fails = 0, False
        self.began, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()

    async def run(self, _: ServiceRuntime) -> None:
        self.runs += 1
        self.began.set()
        await self.free.wait()
        if self.fails:
            raise ValueError("it fails")


@pytest.fixture
async def worker(service: Service, settings: CommonSettings, committed: Database) -> ServiceRuntime:
    async with committed.write() as session:
        await session.execute(text("DELETE FROM job"))
    return ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]


@pytest.fixture
def again(worker: ServiceRuntime) -> Callable[[], ServiceRuntime]:
    """Another worker of the service."""
    return lambda: replace(worker, stopping=asyncio.Event(), beats={}, wakes={})


async def remember(runtime: ServiceRuntime, *, began: str, ended: str | None, tries: int) -> None:
    """Say how long ago it began and ended."""
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM job"))
        await session.execute(
            text("""INSERT INTO job (name, began_at, ended_at, tries)
                    VALUES ('work', now() - CAST(CAST(:began AS text) AS interval),
                            now() - CAST(CAST(:ended AS text) AS interval), :tries)"""),
            {"began": began, "ended": ended, "tries": tries},
        )


async def kept(runtime: ServiceRuntime) -> Any:
    async with runtime.database.read() as session:
        statement = "SELECT ended_at >= began_at AS ended, succeeded_at >= began_at AS done, tries FROM job"
        return tuple((await session.execute(text(statement))).one())


@pytest.mark.parametrize(
    ("every", "began", "ended", "tries", "due"),
    [
        (DAY, "1 hour", "30 minutes", 0, False),
        (DAY, "25 hours", "24 hours", 0, True),
        (timedelta(minutes=1), "2 minutes", "1 second", 0, True),
        # A clock that was put back.
        (DAY, "-400 days", "-400 days", 0, True),
        (DAY, "1 hour", "-400 days", 0, True),
        # What failed is tried again, each time a little later, but never a day later.
        (DAY, "1 hour", "1 minute", 1, False),
        (DAY, "1 hour", "3 minutes", 1, True),
        (DAY, "1 hour", "7 minutes", 3, False),
        (DAY, "1 hour", "9 minutes", 3, True),
        (DAY, "2 hours", "59 minutes", 9999, False),
        (DAY, "2 hours", "61 minutes", 9999, True),
        (timedelta(seconds=10), "12 seconds", "11 seconds", 9999, True),
        # Its process died.
        (DAY, "1 minute", "25 hours", 1, False),
        (DAY, "3 minutes", "25 hours", 1, True),
        (DAY, "3 minutes", None, 1, True),
    ],
)
async def test_when_it_is_due(
    worker: ServiceRuntime, every: timedelta, began: str, ended: str | None, tries: int, *, due: bool
) -> None:
    work = Work(every)
    await remember(worker, began=began, ended=ended, tries=tries)
    assert await run_once(worker, work.job, if_due=True) is due
    assert work.runs == int(due)


async def test_by_hand_it_runs_in_any_case_and_that_counts(worker: ServiceRuntime) -> None:
    work = Work()
    assert await run_once(worker, work.job)
    assert await run_once(worker, work.job)
    assert not await run_once(worker, work.job, if_due=True)
    assert (work.runs, await kept(worker)) == (2, (True, True, 0))


async def test_a_failure_is_kept_until_it_succeeds(worker: ServiceRuntime) -> None:
    work = Work()
    work.fails = True
    for _ in range(2):
        with pytest.raises(ValueError, match="it fails"):
            await run_once(worker, work.job)
    assert await kept(worker) == (True, None, 2)
    work.fails = False
    assert await run_once(worker, work.job)
    assert await kept(worker) == (True, True, 0)


async def test_of_two_workers_one_runs_it(worker: ServiceRuntime, again: Callable[[], ServiceRuntime]) -> None:
    work, other = Work(), again()
    work.free.clear()
    first = asyncio.create_task(run_once(worker, work.job, if_due=True))
    await work.began.wait()
    assert not await run_once(other, work.job, if_due=True)  # at the same time
    work.free.set()
    assert await first
    assert not await run_once(other, work.job, if_due=True)  # and right after
    assert work.runs == 1


@pytest.mark.parametrize("stopping", [True, False], ids=["stopped", "died"])
async def test_what_was_cut_short_has_not_succeeded(worker: ServiceRuntime, *, stopping: bool) -> None:
    work = Work()
    work.free.clear()
    running = asyncio.create_task(run_once(worker, work.job))
    await work.began.wait()
    if stopping:
        worker.stopping.set()
        work.free.set()
        assert await running
    else:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await kept(worker) == (None, None, 1)


async def looks(runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch, most: int) -> ServiceRuntime:
    """The worker, which stops when it has paused so many times."""
    pauses = []

    async def pause(seconds: float) -> bool:
        pauses.append(seconds)
        await asyncio.sleep(0)
        return len(pauses) > most

    monkeypatch.setattr(runtime, "pause", pause)
    monkeypatch.setattr(runtime, "pauses", pauses, raising=False)
    return runtime


async def test_a_worker_that_starts_again_and_again_runs_nothing_anew(
    worker: ServiceRuntime, again: Callable[[], ServiceRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work()
    assert await run_once(worker, work.job)
    for _ in range(3):
        started = await looks(again(), monkeypatch, 4)
        await jobs.loop(started, work.job)
        assert started.pauses == [20.0, *[300.0] * 4]  # type: ignore[attr-defined]
    assert work.runs == 1


async def test_what_is_overdue_runs_soon_after_the_start_and_what_never_ran_a_little_later(
    worker: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    overdue, fresh = Work(), Work(name="fresh")
    await remember(worker, began="3 days", ended="3 days", tries=0)
    await jobs.loop(await looks(worker, monkeypatch, 1), overdue.job)
    assert overdue.runs == 1
    await jobs.loop(await looks(worker, monkeypatch, 1), fresh.job)
    assert fresh.runs == 0
    assert 60 < worker.pauses[-1] <= 120  # type: ignore[attr-defined]
    monkeypatch.setattr(jobs, "FIRST_SECONDS", 0.0)
    await jobs.loop(await looks(worker, monkeypatch, 1), fresh.job)
    assert fresh.runs == 1


async def test_a_job_that_fails_stops_neither_itself_nor_the_worker(
    worker: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(timedelta(seconds=0))
    work.fails = True
    await jobs.loop(await looks(worker, monkeypatch, 5), work.job)
    assert (work.runs, await kept(worker)) == (5, (True, None, 5))


async def test_its_age_is_told(worker: ServiceRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, Any]] = []

    class Gauge:
        def set(self, value: float, labels: Any) -> None:
            told.append((value, labels))

    monkeypatch.setattr(jobs, "age", Gauge())
    work = Work()
    await jobs.loop(await looks(worker, monkeypatch, 1), work.job)
    assert await run_once(worker, work.job)
    async with worker.database.write() as session:
        await session.execute(text("UPDATE job SET succeeded_at = now() - interval '2 hours'"))
    await jobs.loop(await looks(worker, monkeypatch, 1), work.job)
    assert [labels for _, labels in told] == [{"job": "work"}] * 2
    assert told[0][0] < 3600
    assert told[1][0] >= 7200
