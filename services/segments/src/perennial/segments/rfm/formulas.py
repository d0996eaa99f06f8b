"""The SQL that every standing is made by: a run uses it for all customers, an event for the few that it touched.

`o` is what a customer has ordered (`orders`), `k` the thresholds that the run froze (`rfm_model`). Each step stands
behind an OFFSET 0: without it Postgres would write it out wherever it is named, and compute it a hundred times.
"""

from perennial.common.orders import REFUNDED

SCORES, CLUSTERS, DIMENSIONS = 5, 5, 3


_EVERYBODY = "identity_map m JOIN purchase p ON p.via = m.via"
# From the customers to their orders by index, whatever the statistics of tables that were just filled say.
_OF_SOME = """(SELECT via, customer_id FROM identity_map WHERE customer_id = ANY(:ids) OFFSET 0) AS m
        CROSS JOIN LATERAL (SELECT * FROM purchase WHERE via = m.via OFFSET 0) AS p"""


def orders(*, some: bool = False) -> str:
    """What customers have ordered, by currency: net of refunds, without cancelled orders. Of all, or of `:ids`."""
    return f"""
        SELECT m.customer_id, coalesce(p.currency, :currency) AS currency, max(p.completed_at) AS last_order_at,
               CAST(count(*) AS int) AS frequency, sum(p.amount - {REFUNDED}) AS monetary
        FROM {_OF_SOME if some else _EVERYBODY}
        WHERE p.cancelled_at IS NULL AND NOT p.refunded_in_full
        GROUP BY 1, 2"""  # noqa: S608 (constants of ours)


def _score(value: str, cuts: str) -> str:
    """1, and one more for each cut behind the value. Between two customers' values this is the rank by counting."""
    steps = (
        f"CAST(CASE WHEN k.reached THEN {value} >= {cuts}[{n}] ELSE {value} > {cuts}[{n}] END AS int)"
        for n in range(1, SCORES)
    )
    return f"CAST(1 + {' + '.join(steps)} AS smallint)"


def _distance(cluster: int) -> str:
    first = cluster * DIMENSIONS
    parts = (f"power({axis} - k.centers[{first + n}], 2)" for n, axis in enumerate(("zr", "zf", "zm"), 1))
    return " + ".join(parts)


RANKS = f"""CROSS JOIN LATERAL (
        SELECT {_score("o.last_order_at", "k.recency")} AS r, {_score("o.frequency", "k.frequency")} AS f,
               {_score("o.monetary", "k.monetary_cuts")} AS m OFFSET 0) AS score"""
DAYS = "CAST(greatest(0, extract(epoch FROM k.as_of - o.last_order_at)) AS double precision) / 86400"
LOGARITHMS = (
    f"ln(1 + {DAYS})",
    "ln(1 + CAST(o.frequency AS double precision))",
    "ln(1 + CAST(greatest(o.monetary, 0) AS double precision))",
)
_Z = ", ".join(
    f"({value} - k.scales[{n}]) / k.scales[{n + DIMENSIONS}] AS {axis}"
    for n, (value, axis) in enumerate(zip(LOGARITHMS, ("zr", "zf", "zm"), strict=True), 1)
)
STANDARDISED = f"CROSS JOIN LATERAL (SELECT {_Z} OFFSET 0) AS z"
_GROUP = """CASE
        WHEN r >= 4 AND f >= 4 THEN 'champions'
        WHEN r >= 3 AND f >= 4 THEN 'loyal'
        WHEN r = 5 AND f = 1 THEN 'new'
        WHEN r >= 4 AND f >= 2 THEN 'potential_loyalists'
        WHEN r = 4 THEN 'promising'
        WHEN r = 3 AND f = 3 THEN 'need_attention'
        WHEN r = 3 THEN 'about_to_sleep'
        WHEN f = 5 THEN 'cannot_lose'
        WHEN f >= 3 THEN 'at_risk'
        WHEN r = 2 THEN 'hibernating'
        ELSE 'lost' END"""
_CLASS = """CASE WHEN m >= k.high[3] THEN 'important_' ELSE 'general_' END || CASE
        WHEN r >= k.high[1] AND f >= k.high[2] THEN 'value'
        WHEN r >= k.high[1] THEN 'development'
        WHEN f >= k.high[2] THEN 'retention'
        ELSE 'winback' END"""
_QUADRANT = """CASE WHEN o.monetary >= k.value THEN 'high_value_' ELSE 'low_value_' END
        || CASE WHEN o.last_order_at >= k.active_since THEN 'high_activity' ELSE 'low_activity' END"""
_NEAREST = ", ".join(f"away[{n}]" for n in range(1, CLUSTERS + 1))
_CLUSTER = f"""CASE WHEN k.centers IS NOT NULL THEN
        k.cluster_names[array_position(away, least({_NEAREST}))] END"""
_DISTANCES = ", ".join(_distance(n) for n in range(CLUSTERS))
_AWAY = f"CROSS JOIN LATERAL (SELECT ARRAY[{_DISTANCES}] AS away OFFSET 0) AS distance"


def standings(source: str, which: str = "") -> str:
    """Where the customers of `source` stand by the thresholds of run `:run`; other currencies are left out."""
    return f"""
        SELECT o.customer_id, o.currency, k.run_id, o.last_order_at, o.frequency, o.monetary, r, f, m,
               {_GROUP} AS "group", {_CLASS} AS class, {_QUADRANT} AS quadrant, {_CLUSTER} AS cluster
        FROM {source} AS o JOIN rfm_model AS k ON k.run_id = :run AND k.currency = o.currency
        {RANKS} {STANDARDISED} {_AWAY} {which}"""  # noqa: S608 (constants of ours)


COLUMNS = (
    'customer_id, currency, run_id, last_order_at, frequency, monetary, r, f, m, "group", class, quadrant, cluster'
)
LABELS = 'ARRAY["group", class, quadrant, cluster]'
