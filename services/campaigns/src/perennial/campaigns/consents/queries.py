"""Statements as SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

_PUT = text("""
    INSERT INTO consent AS c (via, purpose, channel, state, at, expires_at, version)
    SELECT * FROM unnest(CAST(:vias AS uuid[]), CAST(:purposes AS text[]), CAST(:channels AS text[]),
                         CAST(:states AS text[]), CAST(:ats AS timestamptz[]), CAST(:ends AS timestamptz[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (via, purpose, channel) DO UPDATE SET
        state = excluded.state, at = excluded.at, expires_at = excluded.expires_at, version = excluded.version
    WHERE c.version < excluded.version""")
_SAID = text("""
    SELECT i.customer_id, c.purpose, c.channel, c.state, c.at, c.expires_at, c.version
    FROM identity_map AS i JOIN consent AS c ON c.via = i.via
    WHERE i.customer_id = ANY(CAST(:customers AS uuid[]))""")
# What is approved and in nobody's hands loses its freshness: it goes back to its timer, which asks again.
_DOUBT = text("""
    UPDATE message SET approved_at = approved_at - interval '1 day'
    WHERE status = 'queued' AND approved_at IS NOT NULL AND leased_until IS NULL AND purpose <> 'transactional'
      AND via IN (SELECT other.via FROM identity_map AS own JOIN identity_map AS other USING (customer_id)
                  WHERE own.via = ANY(CAST(:vias AS uuid[])))
    RETURNING channel""")


class Statement(NamedTuple):
    """The newest that was said under one identifier; a higher version is newer."""

    via: UUID
    purpose: str
    channel: str
    state: str
    at: datetime
    expires_at: datetime | None
    version: int


class Said(NamedTuple):
    """A statement of one of a customer's identifiers."""

    customer_id: UUID
    purpose: str
    channel: str
    state: str
    at: datetime
    expires_at: datetime | None
    version: int


async def put(session: WriteSession, statements: Sequence[Statement]) -> None:
    """Take over the newer ones; no two of the same identifier, purpose and channel."""
    values = {
        "vias": [item.via for item in statements],
        "purposes": [item.purpose for item in statements],
        "channels": [item.channel for item in statements],
        "states": [item.state for item in statements],
        "ats": [item.at for item in statements],
        "ends": [item.expires_at for item in statements],
        "versions": [item.version for item in statements],
    }
    await session.execute(_PUT, values)


async def said(session: ReadSession, customers: Sequence[UUID]) -> dict[UUID, list[Said]]:
    """What today's identifiers of customers have said."""
    found: dict[UUID, list[Said]] = {}
    for row in await session.execute(_SAID, {"customers": list(customers)}):
        found.setdefault(row[0], []).append(Said(*row))
    return found


async def doubt(session: WriteSession, vias: Sequence[UUID]) -> set[str]:
    """Have approved messages of these people checked again; the channels that had any."""
    return set((await session.execute(_DOUBT, {"vias": list(vias)})).scalars())
