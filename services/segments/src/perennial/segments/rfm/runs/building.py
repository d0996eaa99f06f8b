"""The SQL of one run: the facts of one moment, the thresholds they give, everybody's standing, and the switch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import WriteSession
from perennial.common.derive import spell
from perennial.segments.facts.concerns import ORDERS
from perennial.segments.rfm.formulas import COLUMNS, LABELS, LOGARITHMS, RANKS, STANDARDISED, orders, standings
from perennial.segments.rfm.standings.queries import move

SAMPLE = 50_000
GROWTH = 2  # of so many times the customers centroids are found anew
PART = 100_000  # standings written by one statement

_CUTS = text("""
    WITH ranked AS (
        SELECT currency, last_order_at, frequency, monetary,
               (rank() OVER (PARTITION BY currency ORDER BY last_order_at) - 1) * 5 / n AS r,
               (rank() OVER (PARTITION BY currency ORDER BY frequency) - 1) * 5 / n AS f,
               (rank() OVER (PARTITION BY currency ORDER BY monetary) - 1) * 5 / n AS m
        FROM rfm_fact JOIN (SELECT currency, count(*) AS n FROM rfm_fact GROUP BY currency) AS all_of USING (currency))
    SELECT currency, count(*) AS customers, sum(frequency) AS orders, sum(monetary) AS monetary,
           ARRAY[max(last_order_at) FILTER (WHERE r < 1), max(last_order_at) FILTER (WHERE r < 2),
                 max(last_order_at) FILTER (WHERE r < 3), max(last_order_at) FILTER (WHERE r < 4)] AS recency,
           ARRAY[max(frequency) FILTER (WHERE f < 1), max(frequency) FILTER (WHERE f < 2),
                 max(frequency) FILTER (WHERE f < 3), max(frequency) FILTER (WHERE f < 4)] AS frequency,
           ARRAY[max(ranked.monetary) FILTER (WHERE m < 1), max(ranked.monetary) FILTER (WHERE m < 2),
                 max(ranked.monetary) FILTER (WHERE m < 3), max(ranked.monetary) FILTER (WHERE m < 4)] AS monetary_cuts
    FROM ranked GROUP BY currency ORDER BY customers DESC, currency""")
_ADD = text("""
    INSERT INTO rfm_model (run_id, currency, customers, orders, monetary, reached, recency, frequency, monetary_cuts,
                           high, value, active_since, as_of, clusters, report)
    VALUES (:run, :currency, :customers, :orders, :monetary, :reached, :recency, :frequency, :monetary_cuts,
            :high, :value, :active_since, :as_of, '{}', '{}')""")
_AVERAGES = text(f"""
    UPDATE rfm_model AS target SET high = ARRAY[least(floor(r) + 1, 5), least(floor(f) + 1, 5), least(floor(m) + 1, 5)]
    FROM (SELECT o.currency, avg(r) AS r, avg(f) AS f, avg(m) AS m
          FROM rfm_fact AS o JOIN rfm_model AS k ON k.run_id = :run AND k.currency = o.currency {RANKS}
          GROUP BY o.currency) AS average
    WHERE target.run_id = :run AND target.currency = average.currency""")  # noqa: S608 (constants of ours)
_SCALES = text(f"""
    UPDATE rfm_model AS target SET scales = ARRAY[r, f, m, dr, df, dm]
    FROM (SELECT currency, avg(r) AS r, avg(f) AS f, avg(m) AS m,
                 coalesce(nullif(stddev_pop(r), 0), 1) AS dr, coalesce(nullif(stddev_pop(f), 0), 1) AS df,
                 coalesce(nullif(stddev_pop(m), 0), 1) AS dm
          FROM (SELECT o.currency, {LOGARITHMS[0]} AS r, {LOGARITHMS[1]} AS f, {LOGARITHMS[2]} AS m
                FROM rfm_fact AS o JOIN rfm_model AS k ON k.run_id = :run AND k.currency = o.currency) AS spread
          GROUP BY currency) AS measured
    WHERE target.run_id = :run AND target.currency = measured.currency AND target.clustered_at IS NULL
    RETURNING target.currency, target.scales""")  # noqa: S608 (constants of ours)
# Centroids of hours ago, unless the shop has outgrown them: that today is later than then counts in what is nearest.
_KEEP_CLUSTERS = text("""
    UPDATE rfm_model AS target SET scales = known.scales, centers = known.centers, clusters = known.clusters,
        cluster_names = known.cluster_names, clustered_at = known.clustered_at, clustered = known.clustered
    FROM rfm_model AS known
    WHERE target.run_id = :run AND known.run_id = :before AND known.currency = target.currency
      AND known.clustered_at > :since AND target.customers < known.clustered * :growth""")
_POINTS = text(f"""
    SELECT zr, zf, zm FROM rfm_fact AS o
    JOIN rfm_model AS k ON k.run_id = :run AND k.currency = o.currency {STANDARDISED}
    WHERE o.currency = :currency ORDER BY uuid_hash_extended(o.customer_id, 0), o.customer_id LIMIT :n""")  # noqa: S608 (constants of ours)
_CLUSTERED = text("""
    UPDATE rfm_model SET centers = :centers, cluster_names = :names, clusters = CAST(:clusters AS jsonb),
        clustered_at = CASE WHEN CAST(:centers AS double precision[]) IS NOT NULL THEN as_of END, clustered = customers
    WHERE run_id = :run AND currency = :currency""")
_STAND = text(f"""
    INSERT INTO rfm_standing ({COLUMNS}, version)
    SELECT *, nextval('rfm_version')
    FROM ({standings("rfm_fact", "WHERE o.place BETWEEN :low AND :high")}) AS scored""")  # noqa: S608 (constants of ours)
_REPORT = """
    SELECT currency, CASE WHEN grouping("group") = 0 THEN 'group' WHEN grouping(class) = 0 THEN 'class'
                WHEN grouping(quadrant) = 0 THEN 'quadrant' ELSE 'cluster' END AS by,
           coalesce("group", class, quadrant, cluster) AS key,
           count(*) AS customers, sum(frequency) AS orders, sum(monetary) AS monetary
    FROM rfm_standing WHERE run_id = :run AND NOT gone
    GROUP BY currency, GROUPING SETS (("group"), (class), (quadrant), (cluster))"""
_DIFFERENT = text(f"""
    WITH marked AS (
        INSERT INTO stale (customer_id, live, at, concern)
        SELECT customer_id, false, now(), :concern FROM (
            SELECT customer_id, ARRAY[r, f, m] AS scores, {LABELS} AS labels FROM rfm_standing
            WHERE run_id = :run AND currency = :currency) AS new
        FULL JOIN (
            SELECT customer_id, ARRAY[r, f, m] AS scores, {LABELS} AS labels FROM rfm_standing
            WHERE run_id = :before AND currency = :known AND NOT gone) AS old USING (customer_id)
        WHERE (new.scores, new.labels) IS DISTINCT FROM (old.scores, old.labels)
        RETURNING 1)
    SELECT count(*) FROM marked""")  # noqa: S608 (constants of ours)


async def gather(session: WriteSession, currency: str) -> int:
    """What everybody has ordered by now, in one snapshot; how many rows."""
    await session.execute(text("DROP TABLE IF EXISTS pg_temp.rfm_fact"))
    await session.execute(
        text(f"""CREATE TEMPORARY TABLE rfm_fact ON COMMIT DROP AS
                 SELECT row_number() OVER () AS place, facts.* FROM ({orders()}) AS facts"""),  # noqa: S608 (ours)
        {"currency": currency},
    )
    await session.execute(text("ANALYZE rfm_fact"))
    found: int = (await session.execute(text("SELECT count(*) FROM rfm_fact"))).scalar_one()
    return found


async def cuts(session: WriteSession) -> Sequence[Row[Any]]:
    """By currency the sums, and by quantiles the greatest values that do not yet score 2, 3, 4 and 5."""
    return (await session.execute(_CUTS)).all()


async def add_models(session: WriteSession, rows: Sequence[Mapping[str, Any]], *, average: bool) -> None:
    """Freeze thresholds; with `average`, what is high is what lies above the average score."""
    if not rows:
        return
    await session.execute(_ADD, rows)
    if average:
        await session.execute(_AVERAGES, {"run": rows[0]["run"]})


async def keep_clusters(session: WriteSession, run: UUID, before: UUID, since: datetime) -> None:
    """Keep the centroids that the run before had, where they were found since then."""
    values = {"run": run, "before": before, "since": since, "growth": GROWTH}
    await session.execute(_KEEP_CLUSTERS, values)


async def scales(session: WriteSession, run: UUID) -> dict[str, list[float]]:
    """Freeze by what means and deviations each currency is standardised, but for those that keep centroids."""
    return {row.currency: row.scales for row in await session.execute(_SCALES, {"run": run})}


async def points(session: WriteSession, run: UUID, currency: str) -> Sequence[Row[Any]]:
    """Standardised customers, always the same of the same, in the same order."""
    return (await session.execute(_POINTS, {"run": run, "currency": currency, "n": SAMPLE})).all()


async def freeze_clusters(
    session: WriteSession, run: UUID, currency: str, centers: list[float] | None, names: list[str] | None, told: str
) -> None:
    """Keep the centroids of a currency with their explanation."""
    values = {"run": run, "currency": currency, "centers": centers, "names": names, "clusters": told}
    await session.execute(_CLUSTERED, values)


async def stand(session: WriteSession, run: UUID, rows: int) -> None:
    """Write everybody's standing, in parts."""
    for low in range(1, rows + 1, PART):
        await session.execute(_STAND, {"run": run, "low": low, "high": low + PART - 1})


async def report(session: WriteSession, run: UUID) -> None:
    """Keep the figures of the groups as the run found them."""
    await session.execute(
        text(f"""UPDATE rfm_model AS target SET report = told.document
                 FROM (SELECT currency, jsonb_agg(jsonb_build_object(
                           'by', by, 'key', key, 'customers', customers, 'orders', orders, 'monetary', monetary::text)
                           ORDER BY by, key) FILTER (WHERE key IS NOT NULL) AS document
                       FROM ({_REPORT}) AS figures GROUP BY currency) AS told
                 WHERE target.run_id = :run AND target.currency = told.currency"""),  # noqa: S608 (ours)
        {"run": run},
    )


async def mark_different(session: WriteSession, run: UUID, before: Row[Any] | None, currency: str) -> int:
    """Have the customers derived again whose labels are others than before; returns how many.

    Before, those of another currency may have counted, where the deployment had another one.
    """
    known = (before and before.currency) or currency
    values = {
        "run": run,
        "before": before and before.id,
        "currency": currency,
        "known": known,
        "concern": spell(ORDERS),
    }
    found: int = (await session.execute(_DIFFERENT, values)).scalar_one()
    return found


async def catch_up(session: WriteSession, run: UUID, currency: str) -> list[UUID]:
    """Compute once more who was derived since the facts were read; returns whom."""
    rows = await session.execute(text("DELETE FROM rfm_touched RETURNING customer_id"))
    ids = sorted(set(rows.scalars()))
    if ids:
        await move(session, run, ids, (), currency)
    return ids


async def switch(session: WriteSession, run: UUID, as_of: datetime, settings_version: int, currency: str) -> None:
    """From here on this run is read. Whoever was erased meanwhile is in it no more."""
    await session.execute(
        text("DELETE FROM rfm_standing s USING erased e WHERE s.customer_id = e.via AND s.run_id = :run"), {"run": run}
    )
    await session.execute(text("UPDATE rfm_scoring SET state = 'past' WHERE state = 'serving'"))
    await session.execute(
        text("""UPDATE rfm_scoring SET state = 'serving', as_of = :as_of, served_at = now(), error = NULL,
                    settings_version = :settings, currency = :currency,
                    version = coalesce(pg_sequence_last_value('rfm_version'), 0),
                    customers = coalesce((SELECT customers FROM rfm_model
                                          WHERE run_id = :run AND currency = :currency), 0)
                WHERE id = :run"""),
        {"run": run, "as_of": as_of, "settings": settings_version, "currency": currency},
    )
