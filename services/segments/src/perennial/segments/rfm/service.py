"""The verbs of RFM: have it computed soon, compute it."""

from datetime import UTC, datetime, timedelta

from perennial.common.db import WriteSession, settings_of
from perennial.common.timers import Timer, schedule
from perennial.segments.rfm import queries

SCORE = "rfm"
EVERY_SECONDS = 5


async def want_scores(session: WriteSession) -> None:
    """Standings at the next round instant: however many orders come, they are computed once every few seconds."""
    now = datetime.now(UTC).timestamp()
    due = datetime.fromtimestamp((now // EVERY_SECONDS + 1) * EVERY_SECONDS, UTC) + timedelta(milliseconds=1)
    await schedule(session, [Timer(SCORE, due.isoformat(), due)])


async def score(session: WriteSession, _: list[Timer]) -> None:
    """The standings are due: compute everybody's."""
    await queries.score(session, settings_of(session).currency)
