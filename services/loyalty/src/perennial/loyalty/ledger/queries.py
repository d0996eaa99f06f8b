"""What must hold of the books: each query finds the first row of which it does not."""

from collections.abc import Mapping
from typing import Any

from perennial.common.db import ReadSession, fetch_patiently

# Customers whose lots are about to be settled afresh: for a moment what they used is not what they hold.
_UNSETTLED = """
    WITH unsettled AS (
        SELECT DISTINCT coalesce(m.customer_id, s.customer_id) AS id
        FROM stale s LEFT JOIN identity_map m ON m.via = s.customer_id
    ), lots AS (
        SELECT coalesce(m.customer_id, l.via) AS customer, l.currency, l.id, l.state,
               l.points - l.reversed - l.expired AS standing,
               l.expires_at, coalesce(u.used, 0) AS used
        FROM lot l LEFT JOIN identity_map m ON m.via = l.via
        LEFT JOIN (SELECT lot_id, sum(points) AS used FROM lot_use GROUP BY lot_id) u ON u.lot_id = l.id
    ), spendings AS (
        SELECT coalesce(m.customer_id, p.via) AS customer, p.currency, p.id, p.at,
               CASE WHEN EXISTS (SELECT FROM posting r WHERE r.returns = p.id) THEN 0 ELSE -p.points END AS points,
               coalesce(u.covered, 0) AS covered
        FROM posting p LEFT JOIN identity_map m ON m.via = p.via
        LEFT JOIN (SELECT posting_id, sum(points) AS covered FROM lot_use GROUP BY posting_id) u ON u.posting_id = p.id
        WHERE p.lot_id IS NULL AND p.returns IS NULL
    )"""

CHECKS = {
    "the entries of a posting sum to zero": """
        SELECT posting_id, sum(points) AS sum FROM entry
        GROUP BY posting_id HAVING sum(points) <> 0 ORDER BY posting_id LIMIT 1""",
    "a posting moves what its kind moves, of a lot or of the customer": """
        SELECT id AS posting_id, kind, points, pending, lot_id FROM posting
        WHERE (CASE kind
                WHEN 'earn' THEN lot_id IS NOT NULL AND least(points, pending) = 0 AND points + pending > 0
                WHEN 'activate' THEN lot_id IS NOT NULL AND points > 0
                WHEN 'spend' THEN lot_id IS NULL AND points < 0 AND pending = 0
                WHEN 'return' THEN lot_id IS NULL AND points > 0 AND pending = 0
                WHEN 'adjust' THEN (lot_id IS NOT NULL) = (points > 0) AND pending = 0 AND points <> 0
                ELSE lot_id IS NOT NULL AND greatest(points, pending) = 0 AND points + pending < 0
            END) IS NOT TRUE
        ORDER BY 1 LIMIT 1""",
    "a posting is about a lot of its own identifier": """
        SELECT p.id AS posting_id, p.lot_id, p.via, l.via AS holder, p.currency, l.currency AS lot_currency
        FROM posting p JOIN lot l ON l.id = p.lot_id WHERE (p.via, p.currency) <> (l.via, l.currency)
        ORDER BY 1 LIMIT 1""",
    "what names a lot waits for no posting": "SELECT posting_id, lot_id FROM entry_lot ORDER BY 1 LIMIT 1",
    "an account is the sum of its entries": """
        SELECT coalesce(a.via, e.via) AS via, coalesce(a.currency, e.currency) AS currency, a.balance, a.pending,
               e.balance AS entries, e.pending AS entries_pending
        FROM account a FULL JOIN (
            SELECT via, currency, sum(points) AS balance, sum(pending) AS pending,
                   sum(points + pending) FILTER (WHERE kind = 'earn') AS earned,
                   -sum(points + pending) FILTER (WHERE kind IN ('spend', 'return')) AS spent,
                   -sum(points + pending) FILTER (WHERE kind = 'reverse') AS reversed,
                   -sum(points + pending) FILTER (WHERE kind = 'expire') AS expired,
                   sum(points + pending) FILTER (WHERE kind = 'adjust') AS adjusted
            FROM posting GROUP BY via, currency) e ON e.via = a.via AND e.currency = a.currency
        WHERE ((a.balance, a.pending, a.earned, a.spent, a.reversed, a.expired, a.adjusted) =
               (coalesce(e.balance, 0), coalesce(e.pending, 0), coalesce(e.earned, 0), coalesce(e.spent, 0),
                coalesce(e.reversed, 0), coalesce(e.expired, 0), coalesce(e.adjusted, 0))) IS NOT TRUE
        ORDER BY 1, 2 LIMIT 1""",
    "a lot is the sum of its entries": """
        SELECT coalesce(l.id, e.lot_id) AS lot_id, l.points, l.reversed, l.expired, l.state, e.issued,
               e.reversed AS entries_reversed, e.expired AS entries_expired, e.pending
        FROM lot l FULL JOIN (
            SELECT lot_id, coalesce(sum(points + pending) FILTER (WHERE kind IN ('earn', 'adjust')), 0) AS issued,
                   coalesce(-sum(points + pending) FILTER (WHERE kind = 'reverse'), 0) AS reversed,
                   coalesce(-sum(points + pending) FILTER (WHERE kind = 'expire'), 0) AS expired,
                   sum(pending) AS pending
            FROM posting WHERE lot_id IS NOT NULL GROUP BY lot_id) e ON e.lot_id = l.id
        WHERE ((l.points, l.reversed, l.expired,
                CASE l.state WHEN 'pending' THEN l.points - l.reversed - l.expired ELSE 0 END)
               = (e.issued, e.reversed, e.expired, e.pending)) IS NOT TRUE
        ORDER BY 1 LIMIT 1""",
    "a return gives back one spending, whole, to whoever spent it": """
        SELECT r.id AS posting_id, r.returns, r.points, s.points AS spent
        FROM posting r LEFT JOIN posting s ON s.id = r.returns
        WHERE r.returns IS NOT NULL
          AND ((s.kind, s.via, s.currency, -s.points) = ('spend', r.via, r.currency, r.points)) IS NOT TRUE
        ORDER BY 1 LIMIT 1""",
    "an order has what its lots have": """
        WITH told AS (
            SELECT p.id, c.currency, coalesce((p.earned ->> c.currency)::bigint, 0) AS earned,
                   coalesce((p.reversed ->> c.currency)::bigint, 0) AS reversed
            FROM purchase p CROSS JOIN LATERAL (
                SELECT jsonb_object_keys(p.earned) UNION SELECT jsonb_object_keys(p.reversed)) AS c (currency)
        ), held AS (
            SELECT purchase_id, currency, sum(points) AS points, sum(reversed) AS reversed
            FROM lot WHERE purchase_id IS NOT NULL GROUP BY purchase_id, currency
        )
        SELECT coalesce(t.id, h.purchase_id) AS purchase_id, coalesce(t.currency, h.currency) AS currency, t.earned,
               t.reversed, h.points AS lots, h.reversed AS lots_reversed
        FROM told t FULL JOIN held h ON h.purchase_id = t.id AND h.currency = t.currency
        WHERE (coalesce(t.earned, 0), coalesce(t.reversed, 0)) <> (coalesce(h.points, 0), coalesce(h.reversed, 0))
        ORDER BY 1, 2 LIMIT 1""",
    "what a split waived is a lot of its own, taken back when they are one again": """
        SELECT d.id AS debt_id, d.state, d.points, l.points AS lot, l.reversed, l.expired
        FROM split_debt d LEFT JOIN lot l ON l.id = d.lot_id
        WHERE d.lot_id IS NOT NULL AND (
            (l.via, l.currency, l.points) = (d.via, d.currency, d.points) AND CASE d.state
                WHEN 'rejoined' THEN l.reversed + l.expired = l.points ELSE l.reversed = 0 END) IS NOT TRUE
        ORDER BY 1 LIMIT 1""",
    "no lot is used beyond what stands of it": f"""{_UNSETTLED}
        SELECT id AS lot_id, customer, state, standing, used FROM lots
        WHERE customer NOT IN (SELECT id FROM unsettled) AND (used > standing OR (used > 0 AND state = 'pending'))
        ORDER BY 1 LIMIT 1""",  # noqa: S608 (constants)
    "no spending is covered beyond its points": f"""{_UNSETTLED}
        SELECT id AS posting_id, customer, points, covered FROM spendings
        WHERE customer NOT IN (SELECT id FROM unsettled) AND covered > points
        ORDER BY 1 LIMIT 1""",  # noqa: S608
    "a spending uses lots of its own customer": f"""{_UNSETTLED}
        SELECT u.posting_id, u.lot_id, s.customer AS spender, l.customer AS holder
        FROM lot_use u LEFT JOIN spendings s ON s.id = u.posting_id LEFT JOIN lots l ON l.id = u.lot_id
        WHERE (s.customer = l.customer AND s.currency = l.currency) IS NOT TRUE
          AND NOT EXISTS (SELECT FROM unsettled x WHERE x.id IN (s.customer, l.customer))
        ORDER BY 1, 2 LIMIT 1""",  # noqa: S608
    "lots less uses, less what is owed, are the balance": f"""{_UNSETTLED}, sides AS (
        SELECT customer, currency, sum(standing - used) FILTER (WHERE state = 'active') AS remaining,
               0 AS owed, 0 AS balance,
               max(coalesce(expires_at, 'infinity')) FILTER (WHERE state = 'active' AND standing > used) AS open_until,
               CAST(NULL AS timestamptz) AS owed_since
        FROM lots GROUP BY customer, currency
        UNION ALL SELECT customer, currency, 0, sum(points - covered), 0, NULL, min(at) FILTER (WHERE points > covered)
        FROM spendings GROUP BY customer, currency
        UNION ALL SELECT coalesce(m.customer_id, a.via), a.currency, 0, 0, sum(a.balance), NULL, NULL
        FROM account a LEFT JOIN identity_map m ON m.via = a.via GROUP BY 1, 2)
        SELECT customer, currency, coalesce(sum(remaining), 0) AS remaining, sum(owed) AS owed, sum(balance) AS balance
        FROM sides WHERE customer NOT IN (SELECT id FROM unsettled) GROUP BY customer, currency
        HAVING coalesce(sum(remaining), 0) - sum(owed) <> sum(balance)
            OR max(open_until) > min(owed_since)
        ORDER BY 1 LIMIT 1""",  # noqa: S608
}


async def faults(session: ReadSession) -> list[tuple[str, Mapping[str, Any]]]:
    """The first bad row of each rule that does not hold."""
    return [
        (rule, dict(row)) for rule, statement in CHECKS.items() for row in await fetch_patiently(session, statement)
    ]


async def size(session: ReadSession) -> Mapping[str, int]:
    """How much was checked, and what the customers have by it."""
    [row] = await fetch_patiently(
        session,
        """SELECT (SELECT count(*) FROM posting) AS postings, (SELECT count(*) FROM lot) AS lots,
                  (SELECT coalesce(sum(balance), 0) FROM account) AS balance""",
    )
    return dict(row)
