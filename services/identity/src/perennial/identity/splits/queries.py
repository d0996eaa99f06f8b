"""Splits in SQL."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession

_ADD = text("""
    INSERT INTO split (id, customer_id, separated, identifiers, remaining, reason, rule, created_by, created_at)
    VALUES (:id, :customer, :separated, :identifiers, :remaining, :reason, :rule, :who, clock_timestamp())""")
_SHOWN = """id, customer_id, separated, identifiers, remaining, reason, rule, created_by, created_at, undone_at,
            undone_by, undone_reason, merge_id"""
_ONE = text(f"SELECT {_SHOWN} FROM split WHERE id = :id")  # noqa: S608 (our own column names)
_LIST = text(f"""
    SELECT {_SHOWN} FROM split
    WHERE (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
      AND (CAST(:customers AS uuid[]) IS NULL OR customer_id = ANY(:customers) OR separated = ANY(:customers))
    ORDER BY id DESC LIMIT :limit""")  # noqa: S608
_UNDO = text("""
    UPDATE split SET undone_at = clock_timestamp(), undone_by = :who, undone_reason = :reason, merge_id = :merge
    WHERE id = :id""")
_FORBIDDEN = text("""
    SELECT EXISTS (
      SELECT FROM separation WHERE merge_id <> :id
        AND ((low = ANY(CAST(:ones AS uuid[])) AND high = ANY(CAST(:others AS uuid[])))
          OR (low = ANY(CAST(:others AS uuid[])) AND high = ANY(CAST(:ones AS uuid[])))))""")


class NewSplit(NamedTuple):
    """A split as it is written."""

    id: UUID
    customer: UUID
    separated: UUID
    identifiers: list[UUID]
    remaining: list[UUID]
    reason: str
    rule: int
    who: str


async def add(session: WriteSession, split: NewSplit) -> None:
    """Write a split."""
    await session.execute(_ADD, split._asdict())


async def one(session: ReadSession, split_id: UUID) -> RowMapping | None:
    """A split."""
    return (await session.execute(_ONE, {"id": split_id})).mappings().one_or_none()


async def listing(
    session: ReadSession, before: UUID | None, limit: int, customers: Sequence[UUID] | None = None
) -> Sequence[RowMapping]:
    """Splits, newest first; of these customers only, if any are named."""
    found = await session.execute(_LIST, {"before": before, "limit": limit, "customers": customers})
    return found.mappings().all()


async def hold(session: WriteSession, split_id: UUID) -> None:
    """Wait for whoever is undoing the same split."""
    await session.execute(text("SELECT FROM split WHERE id = :id FOR UPDATE"), {"id": split_id})


async def undo(session: WriteSession, split_id: UUID, who: str, reason: str, merge_id: UUID) -> None:
    """Note that a split was undone, and by which merge."""
    await session.execute(_UNDO, {"id": split_id, "who": who, "reason": reason, "merge": merge_id})


async def forbidden(session: ReadSession, split_id: UUID, ones: Sequence[UUID], others: Sequence[UUID]) -> bool:
    """Whether something else than this split keeps two customers apart."""
    wanted = {"id": split_id, "ones": list(ones), "others": list(others)}
    return bool((await session.execute(_FORBIDDEN, wanted)).scalar_one())
