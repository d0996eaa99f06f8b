"""Which marks a batch of a derivation takes, and what other marks there are of the same customers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from perennial.common.db import WriteSession
from perennial.common.db.arrays import array

FEW = 5  # one in so many: the least share of the rest in a batch

# What is live comes first, and a share of the rest with it, so that neither waits for all of the other. Of the
# customers of these marks all that is due, so that a backlog computes nobody again and again. What another
# worker has claimed is passed over: whoever comes second gets the customer's lock after it, and computes anew.
# Nothing here is a join: by the statistics of a table that is filled and emptied all day, Postgres takes a backlog for
# a row or two, and would compare each mark with each.
_CLAIMS = """
    WITH live AS MATERIALIZED (
        SELECT customer_id FROM stale WHERE live AND at <= clock_timestamp() ORDER BY at LIMIT :n
        FOR UPDATE SKIP LOCKED),
    rest AS MATERIALIZED (
        SELECT customer_id FROM stale WHERE NOT live AND at <= clock_timestamp() ORDER BY at
        LIMIT greatest(CAST(:rest AS int) - CAST(:each AS int) * (SELECT count(*) FROM live), CAST(:few AS int))
        FOR UPDATE SKIP LOCKED),
    claimed AS MATERIALIZED (SELECT id FROM stale WHERE at <= clock_timestamp() AND {theirs} FOR UPDATE SKIP LOCKED)
    DELETE FROM stale WHERE id = ANY(ARRAY(SELECT id FROM claimed)) RETURNING customer_id, live"""
_THEIRS = "SELECT customer_id FROM live UNION ALL SELECT customer_id FROM rest"
CLAIM = _CLAIMS.format(theirs=f"(customer_id IN ({_THEIRS})) IS TRUE")
_CLAIM_INDEXED = _CLAIMS.format(theirs=f"customer_id = ANY(ARRAY({_THEIRS}))")
_TAKE, TAKE_CONCERNED = text(CLAIM), text(f"{_CLAIM_INDEXED}, concern")
# Also of marks that another worker has claimed, or that came since these were: whoever made them may have changed what
# a part of the customer rests on, and who looks at that part alone must not look first.
_WHOLE = text("""
    SELECT DISTINCT customer_id FROM stale
    WHERE customer_id = ANY(CAST(CAST(:ids AS text) AS uuid[])) AND coalesce(concern, '*') = '*'
      AND at <= clock_timestamp()""")
SEQSCAN = text("SELECT set_config('enable_seqscan', :value, true)")
_PUT_OFF = text(f"""
    WITH gone AS ({CLAIM})
    INSERT INTO stale (customer_id, live, at)
    SELECT customer_id, bool_or(live), clock_timestamp() + interval '1 minute' FROM gone GROUP BY customer_id""")  # noqa: S608 (ours)


def first(batch: int, live: int = 1, *, hurried: bool = False, aside: bool = False) -> Mapping[str, int]:
    """The bounds of a batch: of so many live marks, and of so many of the rest, `each` fewer for each live one.

    There are at least `few` of the rest. In a hurry, which is while somebody does something, they are not many: whoever
    is live waits for the whole batch, and the more are live, the more the machine has to do beside.
    """
    few = batch // FEW
    if few == 0:
        return {"n": 0 if aside else batch, "rest": batch, "each": 1, "few": 0}
    if hurried:
        return {"n": min(batch, live), "rest": min(few, live), "each": 2, "few": min(few, max(1, live // FEW))}
    return {"n": min(batch, live), "rest": batch, "each": 1, "few": few}


async def take(session: WriteSession, bounds: Mapping[str, int], *, concerned: bool) -> Sequence[Sequence[Any]]:
    """Claim marks: customer_id, live, and the concern where there is one."""
    if concerned:
        return await _by_customer(session, TAKE_CONCERNED, bounds)
    return (await session.execute(_TAKE, bounds)).all()


async def whole(session: WriteSession, customers: Collection[UUID]) -> list[UUID]:
    """Those of the customers, who are locked, of whom another mark says that anything may have changed."""
    if not customers:
        return []
    return [row[0] for row in await _by_customer(session, _WHOLE, {"ids": array(list(customers))})]


async def put_off(session: WriteSession, bounds: Mapping[str, int]) -> None:
    """Have what would be taken wait for a minute."""
    await session.execute(_PUT_OFF, bounds)


async def _by_customer(
    session: WriteSession, statement: TextClause, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """A plan made while the table was small would later compare each of a million marks with each customer."""
    await session.execute(SEQSCAN, {"value": "off"})
    found = (await session.execute(statement, values)).all()
    await session.execute(SEQSCAN, {"value": "on"})
    return found
