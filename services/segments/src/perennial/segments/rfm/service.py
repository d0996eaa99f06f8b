"""The verbs of RFM: have it computed soon, compute it."""

from datetime import UTC, datetime, timedelta

from perennial.common.db import WriteSession, settings_of
from perennial.common.timers import Timer, schedule
from perennial.segments.rfm import queries

SCORE = "rfm"
EVERY_SECONDS = 5
SOON_SECONDS, FEW = 1, 20_000  # so many customers are computed in a tenth of a second


async def want_scores(session: WriteSession, *, soon: bool = False) -> None:
    """Standings at the next round instant: however many orders come, they are computed once every few seconds.

    `soon` is within a second, while there are few customers: a person who has merged two looks at once.
    """
    every = SOON_SECONDS if soon and await _few(session) else EVERY_SECONDS
    now = datetime.now(UTC).timestamp()
    due = datetime.fromtimestamp((now // every + 1) * every, UTC) + timedelta(milliseconds=1)
    await schedule(session, [Timer(SCORE, due.isoformat(), due)])


async def _few(session: WriteSession) -> bool:
    run = await queries.last_run(session)
    return run is None or run[1] <= FEW


async def score(session: WriteSession, _: list[Timer]) -> None:
    """The standings are due: compute everybody's."""
    await queries.score(session, settings_of(session).currency)
