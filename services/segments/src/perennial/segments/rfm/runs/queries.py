"""The SQL of runs as they are wanted, listed and dropped."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.segments.rfm.names import KINDS, By

_COLUMNS = "id, state, cause, wanted_at, as_of, served_at, settings_version, customers, error"
DROPPED = 20_000


_WANT = text("""
    INSERT INTO rfm_scoring AS s (id, state, cause) VALUES (:id, 'wanted', :cause)
    ON CONFLICT (state) WHERE state = 'wanted' DO UPDATE SET cause = excluded.cause
    WHERE s.cause IN ('change', 'new', 'growth') AND excluded.cause NOT IN ('change', 'new', 'growth')""")


async def want(session: WriteSession, run: UUID, cause: str) -> None:
    """A run to compute; one that waits already is it, and knows of a cause that weighs more than its own."""
    await session.execute(_WANT, {"id": run, "cause": cause})


async def ask(session: WriteSession, run: UUID) -> Row[Any]:
    """The run that waits, as one that somebody asked for; a new one where none waits."""
    statement = f"""INSERT INTO rfm_scoring (id, state, cause) VALUES (:id, 'wanted', 'asked')
        ON CONFLICT (state) WHERE state = 'wanted' DO UPDATE SET cause = excluded.cause
        RETURNING {_COLUMNS}"""  # noqa: S608 (a constant of ours)
    return (await session.execute(text(statement), {"id": run})).one()


async def next_run(session: ReadSession) -> Row[Any] | None:
    """The run to compute: one that was begun and not finished, else the one that waits."""
    rows = await session.execute(
        text("""SELECT id, state FROM rfm_scoring WHERE state IN ('computing', 'wanted')
                ORDER BY state, wanted_at LIMIT 1""")
    )
    return rows.one_or_none()


async def begin(session: WriteSession, run: UUID) -> None:
    """A run that waited waits no more."""
    await session.execute(
        text("UPDATE rfm_scoring SET state = 'computing' WHERE id = :id AND state = 'wanted'"), {"id": run}
    )


async def cause_of(session: ReadSession, run: UUID) -> str | None:
    """Why a run is wanted that is still to be computed; None where it is no more."""
    rows = await session.execute(
        text("SELECT cause FROM rfm_scoring WHERE id = :id AND state = 'computing'"), {"id": run}
    )
    return rows.scalar_one_or_none()


async def last(session: ReadSession) -> Row[Any] | None:
    """The last run that has ended in whatever way (state): when it did (at), or was wanted, and its seconds."""
    rows = await session.execute(
        text("""SELECT coalesce(served_at, wanted_at) AS at, seconds, state FROM rfm_scoring
                WHERE state IN ('serving', 'past', 'failed') ORDER BY id DESC LIMIT 1""")
    )
    return rows.one_or_none()


async def took(session: WriteSession, run: UUID, seconds: float) -> None:
    """Keep how long a run was computed."""
    await session.execute(
        text("UPDATE rfm_scoring SET seconds = :seconds WHERE id = :run"), {"run": run, "seconds": seconds}
    )


async def fail(session: WriteSession, run: UUID, error: str) -> None:
    """A run has come to nothing; the numbers that it drew count as nobody's moves, or one would follow at once."""
    await session.execute(
        text("UPDATE rfm_scoring SET state = 'failed', error = :error WHERE id = :id AND state = 'computing'"),
        {"id": run, "error": error},
    )
    await session.execute(
        text("""UPDATE rfm_scoring SET version = coalesce(pg_sequence_last_value('rfm_version'), 0)
                WHERE state = 'serving'""")
    )


async def has_moved(session: ReadSession) -> bool:
    """Whether a standing has moved since the run that serves, or none does."""
    statement = """SELECT NOT EXISTS (SELECT FROM rfm_scoring WHERE state = 'serving'
                       AND version >= coalesce(pg_sequence_last_value('rfm_version'), 0))"""
    return bool((await session.execute(text(statement))).scalar_one())


async def has_run_since(session: ReadSession, since: datetime) -> bool:
    """Whether a run has served since then."""
    rows = await session.execute(
        text("SELECT true FROM rfm_scoring WHERE served_at >= :since LIMIT 1"), {"since": since}
    )
    return rows.first() is not None


async def serving(session: ReadSession) -> Row[Any] | None:
    """The run that is read, with the deployment's currency of then; None where a version before computed it."""
    statement = f"SELECT {_COLUMNS}, currency FROM rfm_scoring WHERE state = 'serving'"  # noqa: S608 (a constant of ours)
    return (await session.execute(text(statement))).one_or_none()


async def one(session: ReadSession, run: UUID) -> Row[Any] | None:
    """A run."""
    statement = f"SELECT {_COLUMNS} FROM rfm_scoring WHERE id = :id"  # noqa: S608 (a constant of ours)
    return (await session.execute(text(statement), {"id": run})).one_or_none()


async def page(session: ReadSession, before: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Runs, the newest first."""
    statement = f"""SELECT {_COLUMNS} FROM rfm_scoring WHERE (CAST(:before AS uuid) IS NULL OR id < :before)
                    ORDER BY id DESC LIMIT :limit"""  # noqa: S608 (a constant of ours)
    return (await session.execute(text(statement), {"before": before, "limit": limit})).all()


_FROZEN = """SELECT currency, customers, orders, monetary, reached, recency, frequency, monetary_cuts, high, value,
                    active_since, clusters, clustered_at, report FROM rfm_model WHERE run_id = :run"""


async def models(session: ReadSession, run: UUID) -> Sequence[Row[Any]]:
    """The currencies of a run with their customers, the one with the most first."""
    statement = text("SELECT currency, customers FROM rfm_model WHERE run_id = :run ORDER BY customers DESC, currency")
    return (await session.execute(statement, {"run": run})).all()


async def model(session: ReadSession, run: UUID, currency: str) -> Row[Any] | None:
    """What a run froze for one currency; None where nobody had ordered in it."""
    statement = text(f"{_FROZEN} AND currency = :currency")
    return (await session.execute(statement, {"run": run, "currency": currency})).one_or_none()


def _found(by: By) -> str:
    """The label as the run found it; a customer who was in no group is in `none`."""
    return f"""coalesce(CASE WHEN first IS NULL THEN "{by}" ELSE first[{KINDS.index(by) + 1}] END, 'none')"""


async def flow(session: ReadSession, by: By, start: UUID, end: UUID, currency: str) -> Sequence[Row[Any]]:
    """How many customers went from which group of a run to which of another; null: not among the customers then."""
    side = f"""SELECT customer_id, {_found(by)} AS said FROM rfm_standing
               WHERE currency = :currency AND NOT late"""  # noqa: S608 (one of four words)
    statement = text(f"""
        SELECT a.said AS before, b.said AS after, CAST(count(*) AS int) AS customers
        FROM ({side} AND run_id = :start) AS a FULL JOIN ({side} AND run_id = :end) AS b USING (customer_id)
        GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2 NULLS LAST""")  # noqa: S608 (a constant of ours)
    return (await session.execute(statement, {"start": start, "end": end, "currency": currency})).all()


async def moved_since(session: ReadSession, by: By, start: UUID, currency: str) -> Sequence[Row[Any]]:
    """The same from a run to now: how events have moved its customers by the thresholds that it froze."""
    statement = text(f"""
        SELECT CASE WHEN NOT late THEN {_found(by)} END AS before,
               CASE WHEN NOT gone THEN coalesce("{by}", 'none') END AS after, CAST(count(*) AS int) AS customers
        FROM rfm_standing WHERE run_id = :start AND currency = :currency AND NOT (late AND gone)
        GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2 NULLS LAST""")  # noqa: S608 (one of four words)
    return (await session.execute(statement, {"start": start, "currency": currency})).all()


async def superseded(session: ReadSession, keep: int, zone: str) -> list[UUID]:
    """The runs that are history no longer: of each day the last is, and those that were asked for, `keep` in all.

    Those of the last minutes stay for whoever is reading page after page.
    """
    rows = await session.execute(
        text("""WITH past AS (
                    SELECT id, served_at, cause, row_number() OVER (
                        PARTITION BY (as_of AT TIME ZONE :zone)::date, cause = 'asked' ORDER BY id DESC) AS latest
                    FROM rfm_scoring WHERE state IN ('serving', 'past')),
                kept AS (
                    SELECT id FROM past WHERE latest = 1 OR cause = 'asked' ORDER BY id DESC LIMIT :keep)
                SELECT id FROM rfm_scoring
                WHERE id NOT IN (SELECT id FROM kept) AND state IN ('past', 'failed')
                  AND coalesce(served_at, wanted_at) < now() - interval '5 minutes'
                ORDER BY id"""),
        {"keep": keep, "zone": zone},
    )
    return list(rows.scalars())


async def drop_part(session: WriteSession, run: UUID) -> bool:
    """Delete part of an old run's standings; whether nothing is left of it, nor of the run."""
    result = await session.execute(
        text("""DELETE FROM rfm_standing WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM rfm_standing WHERE run_id = :run LIMIT :n))"""),
        {"run": run, "n": DROPPED},
    )
    if result.rowcount == DROPPED:  # type: ignore[attr-defined]
        return False
    await session.execute(text("DELETE FROM rfm_scoring WHERE id = :run AND state IN ('past', 'failed')"), {"run": run})
    return True
