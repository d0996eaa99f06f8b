"""The SQL of lists and searches."""

# ruff: noqa: S608 (built of our own walks and filters; what was asked is bound)

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.profile.search.filters import Filter
from perennial.profile.search.walks import Position, Walk
from perennial.profile.traits.sealing import Opened, opened_row

EXAMINED = 5_000  # at most so many are looked at for one page
SORTED = 20_000  # so many can be sorted by what no index knows
MOST_NARROWED = 5_000
PATIENCE, UNHURRIED = "2000ms", "30s"
ALIKE = "0.6"

_SETTLE = text("""
    SELECT set_config('statement_timeout', :patience, true),
           set_config('pg_trgm.word_similarity_threshold', :alike, true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")
_IDENTIFIED = text("""
    SELECT DISTINCT customer_id FROM identity_map
    WHERE (kind, digest) IN (SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[])))""")
_TAKEN = text("""
    SELECT kind, digest FROM identity_map
    WHERE (kind, digest) IN (SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[])))""")
_ROWS = text("""
    SELECT w.id, coalesce(c.traits, '{}') AS traits, coalesce(c.computed, '{}') AS computed,
           coalesce(c.tags, '{}') AS tags, c.stage, c.first_seen, c.last_seen, coalesce(c.events, 0) AS events
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS w (id, nr) LEFT JOIN customer AS c ON c.customer_id = w.id
    ORDER BY w.nr""")


async def settle(session: ReadSession, patience: str = PATIENCE) -> None:
    """For the rest of the transaction: nobody waits for a search without end, planned for what is asked."""
    await session.execute(_SETTLE, {"patience": patience, "alike": ALIKE})


async def identified(session: ReadSession, digests: Sequence[tuple[str, bytes]]) -> list[UUID]:
    """The customers who have one of these identifiers, each as its kind and digest."""
    kinds, values = zip(*digests, strict=True)
    found = await session.execute(_IDENTIFIED, {"kinds": list(kinds), "digests": list(values)})
    return sorted(found.scalars())


async def taken(session: ReadSession, digests: Sequence[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
    """Those of the identifiers that somebody has."""
    kinds, values = zip(*digests, strict=True)
    found = await session.execute(_TAKEN, {"kinds": list(kinds), "digests": list(values)})
    return {(row.kind, bytes(row.digest)) for row in found}


async def rows(session: ReadSession, customers: Sequence[UUID]) -> Sequence[Opened]:
    """What is shown of customers in a list, in the order asked for."""
    return [opened_row(session, row) for row in await session.execute(_ROWS, {"ids": list(customers)})]


async def computed_keys(session: ReadSession) -> list[str]:
    """The keys that are computed: no index of ours knows their values."""
    return list((await session.execute(text("SELECT key FROM computed_trait"))).scalars())


async def narrowed(session: ReadSession, wanted: Filter, params: dict[str, object]) -> list[UUID] | None:
    """The customers whom indexes leave over; None when they are too many to be listed one by one."""
    found = text(f"SELECT c.customer_id FROM customer AS c WHERE {' AND '.join(wanted.narrow)} LIMIT :most")
    values = {**wanted.binds.values, **params, "most": MOST_NARROWED + 1}
    ids = list((await session.execute(found, values)).scalars())
    return ids if len(ids) <= MOST_NARROWED else None


async def are_few(session: ReadSession) -> bool:
    """Whether all customers together are no more than can be sorted for one page."""
    counted = text("SELECT count(*) FROM (SELECT FROM customer LIMIT :most) AS counted")
    found: int = (await session.execute(counted, {"most": SORTED + 1})).scalar_one()
    return found <= SORTED


async def walked(
    session: ReadSession, walk: Walk, wanted: Filter, params: dict[str, object], after: Position | None, limit: int
) -> tuple[list[Position], Position | None]:
    """The next customers along a walk; and, if not enough were found among those looked at, where that ended.

    `params` may have `only`, the customers among whom to look.
    """
    values = {**wanted.binds.values, **walk.params, **params, "limit": limit}
    if after is not None:
        values |= {"after_key": after.key, "after_id": after.id}
    inner = walk.sql(after, only="only" in params)
    if not wanted.held:
        found = text(f"SELECT pos::text, customer_id::text FROM ({inner} LIMIT :limit) AS w ORDER BY {walk.way}")
        return [Position(*row) for row in await session.execute(found, values)], None
    values["examined"] = EXAMINED
    found = text(f"""
        SELECT w.pos::text, w.customer_id::text FROM ({inner} LIMIT :examined) AS w
        CROSS JOIN LATERAL (SELECT FROM customer AS c
            WHERE c.customer_id = w.customer_id AND {" AND ".join(wanted.held)} OFFSET 0) AS held
        ORDER BY w.pos {"DESC" if walk.down else "ASC"}, w.customer_id {"DESC" if walk.down else "ASC"} LIMIT :limit""")
    items = [Position(*row) for row in await session.execute(found, values)]
    if len(items) == limit:
        return items, None
    del values["limit"]
    last = text(f"""
        SELECT pos::text, customer_id::text FROM ({inner} LIMIT :examined) AS w ORDER BY {walk.way}
        OFFSET CAST(:examined AS bigint) - 1""")
    ended = (await session.execute(last, values)).one_or_none()
    return items, Position(*ended) if ended else None
