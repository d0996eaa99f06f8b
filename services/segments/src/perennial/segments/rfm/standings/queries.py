"""The SQL of standings."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock_key
from perennial.common.db.sessions import ASIDE
from perennial.segments.rfm.formulas import COLUMNS, orders, standings

GATE = ("segments", "rfm", "gate")

_SHARED = text("SELECT pg_advisory_xact_lock_shared(:key)")
_STATE = text("""
    SELECT serving.id, serving.customers, serving.version AS base,
           coalesce(pg_sequence_last_value('rfm_version'), 0) AS version,
           EXISTS (SELECT FROM rfm_scoring WHERE state = 'computing') AS computing,
           EXISTS (SELECT FROM rfm_scoring WHERE state = 'wanted') AS wanted,
           EXISTS (SELECT FROM timer WHERE kind = 'rfm' AND key = 'settle') AS settling,
           (SELECT payload ->> 'cause' FROM timer WHERE kind = 'rfm' AND key = 'soon') AS soon
    FROM (VALUES (1)) AS always LEFT JOIN rfm_scoring AS serving ON serving.state = 'serving'""")
_MOVE = text(f"""
    WITH facts AS ({orders(some=True)}),
         scored AS ({standings("facts")}),
         ended AS (
            UPDATE rfm_standing s SET gone = true, version = nextval('rfm_version')
            WHERE s.run_id = :run AND s.customer_id = ANY(:all) AND NOT s.gone
              AND NOT EXISTS (SELECT FROM facts f WHERE f.customer_id = s.customer_id AND f.currency = s.currency)
            RETURNING 1),
         moved AS (
            INSERT INTO rfm_standing AS s ({COLUMNS}, late, version)
            SELECT n.*, true, nextval('rfm_version') FROM scored AS n
            LEFT JOIN rfm_standing AS o USING (customer_id, currency, run_id)
            WHERE o.customer_id IS NULL OR o.gone
               OR (n.last_order_at, n.frequency, n.monetary) <> (o.last_order_at, o.frequency, o.monetary)
            ON CONFLICT (customer_id, currency, run_id) DO UPDATE SET
                last_order_at = excluded.last_order_at, frequency = excluded.frequency, monetary = excluded.monetary,
                r = excluded.r, f = excluded.f, m = excluded.m, "group" = excluded."group", class = excluded.class,
                quadrant = excluded.quadrant, cluster = excluded.cluster, gone = false, version = excluded.version,
                first = CASE WHEN NOT s.late
                    THEN coalesce(s.first, ARRAY[s."group", s.class, s.quadrant, s.cluster]) END
            RETURNING 1)
    SELECT (SELECT count(*) FROM facts) AS buyers, (SELECT count(*) FROM ended) + (SELECT count(*) FROM moved) AS moved,
           EXISTS (SELECT FROM facts f WHERE NOT EXISTS (
               SELECT FROM rfm_model k WHERE k.run_id = :run AND k.currency = f.currency)) AS strange""")  # noqa: S608 (constants of ours)
_SHOWN = f"""SELECT {COLUMNS},
    (now() AT TIME ZONE :zone)::date - (last_order_at AT TIME ZONE :zone)::date AS recency_days FROM rfm_standing"""  # noqa: S608 (ours)
_LIVE = "run_id = (SELECT id FROM rfm_scoring WHERE state = 'serving') AND currency = :currency AND NOT gone"


async def state(session: WriteSession) -> Row[Any]:
    """The run that serves, if any, and whether another is wanted or computed; it serves until this transaction ends.

    In two statements: one that waits for the switch would read what was there before it.
    """
    if not session.info.get(ASIDE):
        await session.execute(_SHARED, {"key": lock_key(*GATE)})
    return (await session.execute(_STATE)).one()


async def move(
    session: WriteSession, run: UUID | None, ids: Collection[UUID], gone: Collection[UUID], currency: str
) -> Row[Any]:
    """Bring these customers' standings up to date by a run's thresholds.

    How many of them have ordered, how many standings moved, and whether a currency has no thresholds yet (`strange`).
    """
    values = {"run": run, "ids": list(ids), "all": [*ids, *gone], "currency": currency}
    return (await session.execute(_MOVE, values)).one()


async def come(session: ReadSession, run: UUID, currency: str, most: int) -> int:
    """How many customers have come since a run, counted up to this many."""
    statement = text("""
        SELECT count(*) FROM (
            SELECT FROM rfm_standing WHERE run_id = :run AND currency = :currency AND late AND NOT gone
            LIMIT :most) AS come""")
    return int((await session.execute(statement, {"run": run, "currency": currency, "most": most})).scalar_one())


async def touch(session: WriteSession, ids: Collection[UUID]) -> None:
    """Note for the run that is being computed that these have been derived."""
    await session.execute(
        text("INSERT INTO rfm_touched (customer_id) SELECT unnest(CAST(:ids AS uuid[]))"), {"ids": list(ids)}
    )


async def of_customers(
    session: ReadSession, ids: Collection[UUID], currency: str, zone: str
) -> dict[UUID, Row[Any]]:  # fmt: skip
    """Where customers stand now; those without an order are left out."""
    statement = text(f"{_SHOWN} WHERE {_LIVE} AND customer_id = ANY(:ids)")
    rows = await session.execute(statement, {"ids": list(ids), "currency": currency, "zone": zone})
    return {row.customer_id: row for row in rows}


async def page(
    session: ReadSession, run: UUID, currency: str, group: str | None, after: UUID | None, limit: int, zone: str
) -> Sequence[Row[Any]]:
    """Standings of one run by customer id."""
    statement = f"""{_SHOWN} WHERE run_id = :run AND currency = :currency AND NOT gone
        AND (CAST(:group AS text) IS NULL OR "group" = :group)
        AND (CAST(:after AS uuid) IS NULL OR customer_id > :after) ORDER BY customer_id LIMIT :limit"""
    values = {"run": run, "currency": currency, "group": group, "after": after, "limit": limit, "zone": zone}
    return (await session.execute(text(statement), values)).all()


async def figures(session: ReadSession, run: UUID, currency: str, by: str) -> Sequence[Row[Any]]:
    """Customers, orders and money of each group as they are now, the most money first; null: in none."""
    statement = f"""SELECT "{by}" AS key, CAST(count(*) AS int) AS customers, CAST(sum(frequency) AS bigint) AS orders,
                           sum(monetary) AS monetary
                    FROM rfm_standing WHERE run_id = :run AND currency = :currency AND NOT gone
                    GROUP BY 1 ORDER BY sum(monetary) DESC, 1"""  # noqa: S608 (one of four words)
    return (await session.execute(text(statement), {"run": run, "currency": currency})).all()
