"""Keep what searches walk along in step with the rows of customers."""

import json
from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.profile.search import words
from perennial.profile.search.words import Form

_CHANGED = text("""
    SELECT c.customer_id, said.names FROM customer AS c
    LEFT JOIN customer_order AS o USING (customer_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(key, value), '{}') AS names FROM jsonb_each(c.traits)
        WHERE key = ANY(CAST(:keys AS text[])) AND jsonb_typeof(value) = 'string') AS said
    WHERE c.customer_id = ANY(CAST(:ids AS uuid[])) AND o.names IS DISTINCT FROM said.names
    ORDER BY c.customer_id""")
_GONE = text("""
    WITH gone AS (
        DELETE FROM customer_order WHERE customer_id = ANY(CAST(:ids AS uuid[]))
          AND customer_id NOT IN (SELECT customer_id FROM customer WHERE customer_id = ANY(CAST(:ids AS uuid[])))
        RETURNING customer_id)
    DELETE FROM customer_name USING gone WHERE customer_name.customer_id = gone.customer_id""")
_ORDER = text("""
    INSERT INTO customer_order AS o (customer_id, names, name)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS jsonb[]), CAST(:name AS text[]))
    ON CONFLICT (customer_id) DO UPDATE SET names = excluded.names, name = excluded.name""")
_CLEAR = text("DELETE FROM customer_name WHERE customer_id = ANY(CAST(:ids AS uuid[]))")
_WRITE = text("""
    INSERT INTO customer_name (customer_id, key, form, words)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[]), CAST(:forms AS text[]), CAST(:words AS text[]))
    """)
_SEEN = text("""
    UPDATE customer_order AS o SET first_seen = n.first_seen, last_seen = n.last_seen
    FROM (SELECT customer_id, coalesce(first_seen, '-infinity') AS first_seen,
                 coalesce(last_seen, '-infinity') AS last_seen
          FROM customer WHERE customer_id = ANY(CAST(:ids AS uuid[]))) AS n
    WHERE o.customer_id = n.customer_id AND (o.first_seen, o.last_seen) <> (n.first_seen, n.last_seen)""")


async def follow(session: WriteSession, customers: Collection[UUID]) -> None:
    """Index the names that customers' rows say now; whose row is no more is found no more.

    The customers are locked, and their rows are written.
    """
    ids = list(customers)
    await session.execute(_GONE, {"ids": ids})
    changed = (await session.execute(_CHANGED, {"ids": ids, "keys": list(words.NAMES)})).all()
    if not changed:
        return
    names = {row.customer_id: row.names for row in changed}
    await session.execute(_CLEAR, {"ids": list(names)})
    await session.execute(
        _ORDER,
        {
            "ids": list(names),
            "names": [json.dumps(said) for said in names.values()],
            "name": [words.sort_name(said) for said in names.values()],
        },
    )
    rows = [(customer, *form) for customer, said in names.items() for form in once(said)]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        await session.execute(_WRITE, dict(zip(("ids", "keys", "forms", "words"), columns, strict=True)))


async def seen(session: WriteSession, customers: Collection[UUID]) -> None:
    """Sort customers by when their rows say that they were seen."""
    await session.execute(_SEEN, {"ids": list(customers)})


def once(said: Mapping[str, str]) -> list[Form]:
    """A form that is the whole name and a part of it as well counts as the whole."""
    found: dict[tuple[str, str], Form] = {}
    for form in sorted(words.forms(said), key=lambda form: form.words is not None):
        found[form.key, form.form] = form
    return list(found.values())
