"""The SQL of content. Rows are locked by id in ascending order, before any customer."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.earning.content.definition import State

_COLUMNS = """c.id, c.via, c.source, c.kind, c.key, c.name, c.at, c.live, c.properties, c.state, c.decided_at,
              c.decided_by, c.note, c.rounds, c.version"""
_SHOWN = f"""
    SELECT {_COLUMNS}, coalesce(m.customer_id, c.via) AS customer_id
    FROM content c LEFT JOIN identity_map m ON m.via = c.via WHERE c.at IS NOT NULL"""  # noqa: S608 (constants)
_PAGE = text(f"""
    {_SHOWN} AND (CAST(:customer AS uuid) IS NULL
                  OR c.via IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer))
      AND (CAST(:state AS text) IS NULL OR c.state = :state)
      AND (CAST(:kind AS text) IS NULL OR c.kind = :kind)
      AND (CAST(:at AS timestamptz) IS NULL OR (c.at, c.id) < (:at, CAST(:id AS uuid)))
    ORDER BY c.at DESC, c.id DESC LIMIT :n""")  # noqa: S608 (constants)
_PUT = text("""
    UPDATE content c SET via = n.via, name = n.name, at = n.at, live = n.live, properties = n.properties,
        state = n.state, decided_at = n.decided_at, decided_by = n.decided_by, note = n.note, rounds = n.rounds,
        version = c.version + 1
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:vias AS uuid[]), CAST(:names AS text[]), CAST(:ats AS timestamptz[]),
        CAST(:lives AS boolean[]), CAST(:properties AS jsonb[]), CAST(:states AS text[]),
        CAST(:decided_ats AS timestamptz[]), CAST(:decided_bys AS text[]), CAST(:notes AS text[]),
        CAST(:rounds AS integer[])
    ) AS n (id, via, name, at, live, properties, state, decided_at, decided_by, note, rounds)
    WHERE c.id = n.id""")


@dataclass
class Content:
    """What the community made, as its events and decisions tell it so far."""

    id: UUID
    via: UUID | None
    source: str
    kind: str
    key: str
    name: str | None
    at: datetime | None
    live: bool
    properties: dict[str, Any]
    state: State
    decided_at: datetime | None
    decided_by: str | None
    note: str | None
    rounds: int
    version: int


async def hold(session: WriteSession, named: Collection[tuple[UUID, str, str, str]]) -> dict[UUID, Content]:
    """Content by id, source, kind and key, made where nobody has heard of it, and held until the transaction ends."""
    chosen = sorted(named)
    await session.execute(
        text("""INSERT INTO content (id, source, kind, key) SELECT * FROM unnest(
                    CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[]))
                ON CONFLICT DO NOTHING"""),
        {
            "ids": [item[0] for item in chosen],
            "sources": [item[1] for item in chosen],
            "kinds": [item[2] for item in chosen],
            "keys": [item[3] for item in chosen],
        },
    )
    return await lock(session, [item[0] for item in chosen])


async def lock(session: WriteSession, ids: Sequence[UUID]) -> dict[UUID, Content]:
    """Content by id, held until the transaction ends."""
    rows = await session.execute(
        text(f"SELECT {_COLUMNS} FROM content c WHERE c.id = ANY(:ids) ORDER BY c.id FOR UPDATE"),  # noqa: S608
        {"ids": list(ids)},
    )
    return {row.id: Content(*row) for row in rows}


async def put(session: WriteSession, items: Sequence[Content]) -> None:
    """Write what content has become."""
    if items:
        await session.execute(
            _PUT,
            {
                "ids": [item.id for item in items],
                "vias": [item.via for item in items],
                "names": [item.name for item in items],
                "ats": [item.at for item in items],
                "lives": [item.live for item in items],
                "properties": [json.dumps(item.properties) for item in items],
                "states": [item.state for item in items],
                "decided_ats": [item.decided_at for item in items],
                "decided_bys": [item.decided_by for item in items],
                "notes": [item.note for item in items],
                "rounds": [item.rounds for item in items],
            },
        )


async def find(session: ReadSession, content_id: UUID) -> Row[Any] | None:
    """One piece of content with its customer, once it has been told of."""
    return (await session.execute(text(f"{_SHOWN} AND c.id = :id"), {"id": content_id})).one_or_none()


async def page(
    session: ReadSession, customer: UUID | None, state: str | None, kind: str | None,
    after: tuple[datetime, UUID] | None, limit: int,
) -> list[Row[Any]]:  # fmt: skip
    """Content, the newest first."""
    at, last = after or (None, None)
    bound = {"customer": customer, "state": state, "kind": kind, "at": at, "id": last, "n": limit}
    return list(await session.execute(_PAGE, bound))


async def points(session: ReadSession, lots: Sequence[UUID]) -> dict[UUID, tuple[str, int]]:
    """What stands of lots, with their currency."""
    rows = await session.execute(
        text("SELECT id, currency, points - reversed AS points FROM lot WHERE id = ANY(:ids)"), {"ids": list(lots)}
    )
    return {row.id: (row.currency, row.points) for row in rows}
