"""The verbs of runs: want one now, want one soon, want one of each day.

A run is wanted by a row and computed by a loop (see `computing`), so that a timer's transaction stays short.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.ids import uuid7
from perennial.common.notify import notify
from perennial.common.problems import NotFound
from perennial.common.timers import Timer, schedule
from perennial.segments.rfm.runs import queries
from perennial.segments.settings import SegmentsSettings

SCORE, RUNS = "rfm", "rfm_runs"
CHANGE, NEW, GROWTH = "change", "new", "growth"
CURRENCY = "currency"
BY_ORDERS = frozenset({CHANGE, NEW, GROWTH})  # what orders want waits for its turn
SOON, SETTLE = "soon", "settle"
EVERY_SECONDS = 5
FEW = 20_000  # so many customers are computed in a second or two
FEW_SHARE, MANY_SHARE = 20, 4  # of the customers: one in so many has changed since the thresholds were frozen


async def want(session: WriteSession, cause: str) -> None:
    """Have everybody computed right after this transaction; a run that waits already will do."""
    await queries.want(session, uuid7(), cause)
    await notify(session, RUNS)


async def ask(session: WriteSession, who: Principal) -> Row[Any]:
    """The same for somebody: the run is kept as history beside those of each day."""
    row = await queries.ask(session, uuid7())
    await notify(session, RUNS)
    await audit.record(session, who, "rfm.run.asked", str(row.id))
    return row


async def find(session: ReadSession, run: UUID) -> Row[Any]:
    """A run. Raises NotFound."""
    row = await queries.one(session, run)
    if row is None:
        raise NotFound("run: there is none with this id", pointer="path/run_id")
    return row


async def find_served(session: ReadSession, run: UUID, pointer: str = "query/run_id") -> Row[Any]:
    """A run that serves or has served. Raises NotFound."""
    row = await queries.one(session, run)
    if row is None or row.state not in {"serving", "past"}:
        raise NotFound("run: there is none with this id that has served", pointer=pointer)
    return row


async def want_soon(session: WriteSession, cause: str) -> None:
    """A run in a few seconds where there was none lately: however many orders come, it is one."""
    due = max(datetime.now(UTC) + timedelta(seconds=EVERY_SECONDS), await _turn(session, cause))
    await schedule(session, [Timer(SCORE, SOON, due, {"cause": cause})])


async def want_settled(session: WriteSession) -> None:
    """A run in a minute, for whatever has changed by then: of few customers each one shifts the others' ranks."""
    pause = timedelta(seconds=_settings(session).rfm_pause_seconds)
    due = max(datetime.now(UTC) + pause, await _turn(session, CHANGE))
    await schedule(session, [Timer(SCORE, SETTLE, due, {"cause": CHANGE})])


async def _turn(session: ReadSession, cause: str) -> datetime:
    """From when on orders may have another run: all of theirs together take but a small share of the time.

    Growth waits for no turn: the customers are twice as many each time, which is not often.
    """
    last, settings = await queries.last(session), _settings(session)
    if last is None or (cause == GROWTH and last.state != "failed"):
        return datetime.fromtimestamp(0, UTC)
    pause = max(settings.rfm_pause_seconds, (last.seconds or 0) / settings.rfm_share)
    ended: datetime = last.at
    return ended + timedelta(seconds=pause)


def _settings(session: ReadSession) -> SegmentsSettings:
    return cast("SegmentsSettings", settings_of(session))


async def want_daily(session: WriteSession) -> None:
    """A run when the deployment's next day begins: days since the last order have changed for everybody."""
    zone = settings_of(session).zone
    tomorrow = datetime.now(zone).date() + timedelta(days=1)
    due = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(UTC)
    await schedule(session, [Timer(SCORE, "day", due, {"cause": "day"})])


async def wake(session: WriteSession, timers: list[Timer]) -> None:
    """The instant has come, and all that was received before it is known.

    A change that another run has seen to meanwhile wants none of its own, and has to wait after it.
    """
    causes = {str(timer.payload.get("cause", CHANGE)) for timer in timers}
    if causes == {CHANGE} and not await queries.has_moved(session):
        return
    cause = min(causes - {CHANGE}, default=CHANGE)
    if cause in BY_ORDERS and await _turn(session, cause) > datetime.now(UTC):
        await want_soon(session, cause)
    else:
        await want(session, cause)


def outgrown(customers: int, moved: int) -> bool:
    """Whether so many standings have moved that thresholds of `customers` are no longer those of today."""
    return moved * (FEW_SHARE if customers <= FEW else MANY_SHARE) >= max(1, customers)


async def want_first(session: WriteSession) -> None:
    """A run where there is none of today, and nothing that would make one: after an upgrade, or a lost timer."""
    if not await queries.has_run_since(session, _midnight(session)):
        await want(session, "day")
    await want_daily(session)


async def want_currency(session: WriteSession) -> None:
    """A run where the deployment has another currency than when the last one served: labels are by the old one."""
    before = await queries.serving(session)
    if before is not None and before.currency not in {None, settings_of(session).currency}:
        await want(session, CURRENCY)


def _midnight(session: ReadSession) -> datetime:
    zone = settings_of(session).zone
    today = datetime.now(zone).date()
    return datetime(today.year, today.month, today.day, tzinfo=zone).astimezone(UTC)
