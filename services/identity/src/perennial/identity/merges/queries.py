"""Merges and separations in SQL."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession
from perennial.identity.graph import Union

_ADD = text("""
    INSERT INTO merge (id, kind, survivor, merged, survivor_vias, merged_vias, evidence, rule, created_at)
    VALUES (:id, :kind, :survivor, :merged, :survivor_vias, :merged_vias, CAST(:evidence AS jsonb), :rule,
            clock_timestamp())""")  # not the transaction's beginning: it may have waited for its customers
_SHOWN = "id, kind, survivor, merged, survivor_vias, merged_vias, evidence, created_at, undone_at, undone_reason"
_LIST = text(f"""
    SELECT {_SHOWN} FROM merge
    WHERE (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
      AND (CAST(:customers AS uuid[]) IS NULL OR survivor = ANY(:customers) OR merged = ANY(:customers))
    ORDER BY id DESC LIMIT :limit""")  # noqa: S608 (our own column names)
_UNDO = text("""
    UPDATE merge SET undone_at = clock_timestamp(), undone_by = :who, undone_reason = :reason, undone_vias = :vias,
        undone_rest = :rest
    WHERE id = :id""")
_PARTED_SINCE = text("""
    SELECT undone_vias, undone_rest FROM merge
    WHERE undone_at >= :since AND undone_vias && CAST(:vias AS uuid[])
    UNION ALL
    SELECT identifiers, remaining FROM split
    WHERE created_at >= :since AND undone_at IS NULL AND identifiers && CAST(:vias AS uuid[])
    UNION ALL
    SELECT ARRAY[via], NULL FROM map_change
    WHERE via = ANY(CAST(:vias AS uuid[])) AND cause = 'shared' AND at >= :since""")
_SEPARATE = text("""
    INSERT INTO separation (low, high, merge_id)
    SELECT DISTINCT least(a, b), greatest(a, b), CAST(:cause AS uuid)
    FROM unnest(CAST(:ones AS uuid[]), CAST(:others AS uuid[])) AS pair (a, b) ORDER BY 1, 2
    ON CONFLICT (low, high) DO UPDATE SET merge_id = excluded.merge_id""")


async def add(session: WriteSession, unions: Sequence[Union], rule: int) -> None:
    """Write merges."""
    await session.execute(
        _ADD,
        [
            {
                "id": union.id,
                "kind": union.kind,
                "survivor": union.survivor,
                "merged": union.merged,
                "survivor_vias": union.survivor_vias,
                "merged_vias": union.merged_vias,
                "evidence": json.dumps(union.evidence),
                "rule": rule,
            }
            for union in unions
        ],
    )


async def listing(
    session: ReadSession, before: UUID | None, limit: int, customers: Sequence[UUID] | None = None
) -> Sequence[RowMapping]:
    """Merges, newest first; of these customers only, if any are named."""
    found = await session.execute(_LIST, {"before": before, "limit": limit, "customers": customers})
    return found.mappings().all()


async def one(session: ReadSession, merge_id: UUID) -> RowMapping | None:
    """A merge."""
    found = await session.execute(text(f"SELECT {_SHOWN} FROM merge WHERE id = :id"), {"id": merge_id})  # noqa: S608
    return found.mappings().one_or_none()


async def lock(session: WriteSession, merge_id: UUID) -> None:
    """Wait for whoever is undoing the same merge."""
    await session.execute(text("SELECT 1 FROM merge WHERE id = :id FOR UPDATE"), {"id": merge_id})


async def undo(
    session: WriteSession, merge_id: UUID, who: str, reason: str, vias: Sequence[UUID], rest: Sequence[UUID]
) -> None:
    """Note that a merge was undone, what went back, and from what."""
    values = {"id": merge_id, "who": who, "reason": reason, "vias": list(vias), "rest": list(rest)}
    await session.execute(_UNDO, values)


class Parted(NamedTuple):
    """Identifiers that were taken apart, some from others; from all others, where none are named."""

    some: set[UUID]
    others: set[UUID] | None

    def parts(self, one: UUID, other: UUID) -> bool:
        """Whether it took these two apart."""
        return (one in self.some) != (other in self.some) and (
            self.others is None or one in self.others or other in self.others
        )


async def parted_since(session: ReadSession, since: datetime, vias: Sequence[UUID]) -> list[Parted]:
    """What undoings, splits that stand, and sharing have taken apart since, of these identifiers."""
    found = await session.execute(_PARTED_SINCE, {"since": since, "vias": list(vias)})
    return [Parted(set(some), None if others is None else set(others)) for some, others in found]


async def separate(session: WriteSession, pairs: Sequence[tuple[UUID, UUID]], cause_id: UUID) -> None:
    """Customers that hold the two of a pair are not joined by evidence any more."""
    ones, others = zip(*pairs, strict=True)
    await session.execute(_SEPARATE, {"ones": list(ones), "others": list(others), "cause": cause_id})


async def forget_separations(session: WriteSession, ones: Sequence[UUID], others: Sequence[UUID]) -> None:
    """A person has decided that they belong together."""
    parameters: dict[str, Any] = {"ones": list(ones), "others": list(others)}
    await session.execute(
        text("""DELETE FROM separation WHERE (low = ANY(CAST(:ones AS uuid[])) AND high = ANY(CAST(:others AS uuid[])))
                OR (low = ANY(CAST(:others AS uuid[])) AND high = ANY(CAST(:ones AS uuid[])))"""),
        parameters,
    )
