"""The SQL of what profile says: kept by version, and copied to where rules look for traits.

Such a value is said of a customer, not of an identifier: it counts while the customer is one of their own. Whoever is
merged into another loses it, and profile says it afresh after a split.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.orders import Order

SOURCE = "profile"
_HOLD = text("SELECT via FROM identity_map WHERE via = ANY(CAST(:customers AS uuid[])) ORDER BY via FOR SHARE")
_KEEP = text("""
    INSERT INTO derived_trait AS d (customer_id, key, value, version, at)
    SELECT * FROM unnest(CAST(:customers AS uuid[]), CAST(:keys AS text[]), CAST(:values AS jsonb[]),
                         CAST(:versions AS bigint[]), CAST(:ats AS timestamptz[])) AS said (customer, key)
    ORDER BY customer, key
    ON CONFLICT (customer_id, key) DO UPDATE
    SET value = excluded.value, version = excluded.version, at = excluded.at WHERE d.version < excluded.version
    RETURNING new.customer_id, new.key, old.value IS DISTINCT FROM new.value AS another""")
_OF_ALL = "WHERE d.customer_id = ANY(CAST(:customers AS uuid[]))"
_OF_SOME = """
    JOIN unnest(CAST(:customers AS uuid[]), CAST(:keys AS text[])) AS said (customer_id, key) USING (customer_id, key)
    WHERE true"""
_CLEAR = """
    DELETE FROM trait AS t USING (SELECT customer_id, key FROM derived_trait AS d {} AND d.value IS NULL) AS gone
    WHERE t.via = gone.customer_id AND t.key = gone.key AND t.source = :source"""
_SHOW = """
    INSERT INTO trait (via, key, value, at, source, message_id)
    SELECT d.customer_id, d.key, d.value, d.at, :source, d.version::text
    FROM (SELECT d.* FROM derived_trait AS d {} AND d.value IS NOT NULL) AS d
    LEFT JOIN identity_map AS m ON m.via = d.customer_id
    WHERE m.customer_id IS NULL OR m.customer_id = d.customer_id
    ORDER BY d.customer_id, d.key
    ON CONFLICT (via, key) DO UPDATE
    SET value = excluded.value, at = excluded.at, source = excluded.source, message_id = excluded.message_id
    WHERE (trait.source, trait.message_id, trait.at, trait.value)
          IS DISTINCT FROM (excluded.source, excluded.message_id, excluded.at, excluded.value)
    RETURNING new.via AS customer_id, new.key, old.value IS DISTINCT FROM new.value AS another"""
_CLEAR_ALL, _SHOW_ALL = text(_CLEAR.format(_OF_ALL)), text(_SHOW.format(_OF_ALL))
_CLEAR_SOME, _SHOW_SOME = text(_CLEAR.format(_OF_SOME)), text(_SHOW.format(_OF_SOME))
_FORGET = text("""
    UPDATE derived_trait SET value = NULL
    WHERE customer_id = ANY(CAST(:customers AS uuid[])) AND value IS NOT NULL RETURNING customer_id""")
_DEFINE = text("""
    INSERT INTO trait_definition AS t (key, computed, type, values, archived, version)
    SELECT key, computed, type, ARRAY(SELECT jsonb_array_elements_text(choices)), archived, version
    FROM unnest(CAST(:keys AS text[]), CAST(:computed AS boolean[]), CAST(:types AS text[]),
                CAST(:choices AS jsonb[]), CAST(:archived AS boolean[]), CAST(:versions AS int[]))
         AS said (key, computed, type, choices, archived, version)
    ORDER BY key, computed
    ON CONFLICT (key, computed) DO UPDATE SET type = excluded.type, values = excluded.values,
        archived = excluded.archived, version = excluded.version
    WHERE t.version <= excluded.version""")
_SEEN = text("""
    SELECT key FROM unnest(CAST(:keys AS text[])) AS key
    WHERE EXISTS (SELECT FROM trait AS t WHERE t.key = key.key)""")

_BUYERS = text("""
    SELECT DISTINCT m.customer_id
    FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:vias AS uuid[])) AS said (source, order_id, via)
    JOIN purchase AS p ON p.source = said.source AND p.order_id = said.order_id AND p.via IS DISTINCT FROM said.via
    JOIN identity_map AS m ON m.via = p.via""")


class Said(NamedTuple):
    """A value that a customer has by what profile works out; None: no value."""

    customer: UUID
    key: str
    value: object
    version: int
    at: datetime


class Defined(NamedTuple):
    """A trait that is defined."""

    key: str
    computed: bool
    type: str
    values: Sequence[str]
    archived: bool
    version: int


async def keep(session: WriteSession, said: Iterable[Said]) -> dict[UUID, set[str]]:
    """Keep values in any order, however often, and let rules see them; returns the keys of each customer's news."""
    newest: dict[tuple[UUID, str], Said] = {}
    for one in said:
        known = newest.get((one.customer, one.key))
        if known is None or known.version < one.version:
            newest[one.customer, one.key] = one
    rows = list(newest.values())
    if not rows:
        return {}
    await session.execute(_HOLD, {"customers": sorted({row.customer for row in rows})})
    bound = {
        "customers": [row.customer for row in rows],
        "keys": [row.key for row in rows],
        "values": [None if row.value is None else json.dumps(row.value) for row in rows],
        "versions": [row.version for row in rows],
        "ats": [row.at for row in rows],
    }
    kept = (await session.execute(_KEEP, bound)).all()
    if not kept:
        return {}
    newer = {"customers": [row.customer_id for row in kept], "keys": [row.key for row in kept], "source": SOURCE}
    if any(row.value is None for row in rows):
        await session.execute(_CLEAR_SOME, newer)
    shown = (await session.execute(_SHOW_SOME, newer)).all()
    news: dict[UUID, set[str]] = {}
    for row in [*kept, *shown]:  # before profile defined it, somebody may have said it of themselves
        if row.another:
            news.setdefault(row.customer_id, set()).add(row.key)
    return news


async def show(session: WriteSession, customers: Collection[UUID]) -> None:
    """Let rules see what is kept of customers of their own."""
    if customers:
        bound = {"customers": list(customers), "source": SOURCE}
        await session.execute(_CLEAR_ALL, bound)
        await session.execute(_SHOW_ALL, bound)


async def forget(session: WriteSession, customers: Collection[UUID]) -> None:
    """These are customers of their own no more: what was said of them does not hold for others."""
    if not customers:
        return
    known = set((await session.execute(_FORGET, {"customers": list(customers)})).scalars())
    if known:
        await session.execute(_CLEAR_ALL, {"customers": list(known), "source": SOURCE})


async def define(session: WriteSession, definitions: Iterable[Defined]) -> None:
    """Keep definitions in any order; the newest wins."""
    newest: dict[tuple[str, bool], Defined] = {}
    for one in definitions:
        known = newest.get((one.key, one.computed))
        if known is None or known.version <= one.version:
            newest[one.key, one.computed] = one
    rows = list(newest.values())
    bound = {
        "keys": [row.key for row in rows],
        "computed": [row.computed for row in rows],
        "types": [row.type for row in rows],
        "choices": [json.dumps(list(row.values)) for row in rows],
        "archived": [row.archived for row in rows],
        "versions": [row.version for row in rows],
    }
    if rows:
        await session.execute(_DEFINE, bound)


async def defined(session: ReadSession) -> dict[str, tuple[str, list[str]]]:
    """The type and the values of every trait that is defined; what profile works out comes first."""
    rows: Any = await session.execute(
        text("SELECT key, type, values FROM trait_definition WHERE NOT archived ORDER BY computed")
    )
    return {key: (kind, list(values)) for key, kind, values in rows}


async def computed_keys(session: ReadSession) -> frozenset[str]:
    """The traits that profile works out: nobody else says them."""
    found = await session.execute(text("SELECT key FROM trait_definition WHERE computed AND NOT archived"))
    return frozenset(found.scalars())


async def seen(session: ReadSession, keys: Collection[str]) -> set[str]:
    """Those of the keys that somebody has said."""
    return set((await session.execute(_SEEN, {"keys": list(keys)})).scalars())


async def other_buyers(session: ReadSession, folded: Sequence[Order]) -> set[UUID]:
    """The customers whose orders these are, but for those who have completed them here."""
    bound = {
        "sources": [order.source for order in folded],
        "ids": [order.order_id for order in folded],
        "vias": [order.completed and order.completed.via for order in folded],
    }
    return set((await session.execute(_BUYERS, bound)).scalars())
