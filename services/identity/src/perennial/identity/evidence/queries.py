"""The history of the map, as evidence."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession

_IDENTIFIERS = text("""
    SELECT i.id, i.kind, i.digest, i.sealed, i.created_at, m.customer_id, m.version, s.via IS NOT NULL AS shared
    FROM identifier i JOIN identity_map m ON m.via = i.id LEFT JOIN shared s ON s.via = i.id
    WHERE i.id = ANY(CAST(:vias AS uuid[])) ORDER BY i.id""")
_SEEN = text("""
    SELECT via, source, first_at, last_at FROM seen
    WHERE via = ANY(CAST(:vias AS uuid[])) ORDER BY via, first_at, source""")
_ATTACHED = text("""
    SELECT via, through, event_id, rule, at FROM map_change
    WHERE via = ANY(CAST(:vias AS uuid[])) AND cause = 'attached' AND through IS NOT NULL""")
_MERGED = text("""
    SELECT id, kind, survivor, merged, survivor_vias, merged_vias, evidence, rule, created_at, undone_at FROM merge
    WHERE merged_vias && CAST(:vias AS uuid[])""")


class Seen(NamedTuple):
    """When a source has seen an identifier."""

    via: UUID
    source: str
    first_at: datetime
    last_at: datetime


async def identifiers(session: ReadSession, vias: Iterable[UUID]) -> Sequence[RowMapping]:
    """Identifiers with their place in the map; the values are sealed."""
    return (await session.execute(_IDENTIFIERS, {"vias": list(vias)})).mappings().all()


async def seen(session: ReadSession, vias: Iterable[UUID]) -> list[Seen]:
    """When and where identifiers were seen."""
    return [Seen(*row) for row in await session.execute(_SEEN, {"vias": list(vias)})]


async def attached(session: ReadSession, vias: Iterable[UUID]) -> Sequence[RowMapping]:
    """Those of the identifiers that came to a customer as new ones, and beside which other."""
    return (await session.execute(_ATTACHED, {"vias": list(vias)})).mappings().all()


async def merged(session: ReadSession, vias: Iterable[UUID]) -> Sequence[RowMapping]:
    """The merges in which any of the identifiers changed hands, undone ones too."""
    return (await session.execute(_MERGED, {"vias": list(vias)})).mappings().all()
