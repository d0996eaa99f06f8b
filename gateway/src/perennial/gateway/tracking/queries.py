"""Keeping, listing and sweeping violations."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, text

from perennial.common.db import ReadSession, WriteSession
from perennial.gateway.tracking.models import Violation
from perennial.gateway.tracking.refusal import Rejection

RAW_BYTES = 64 * 1024
KEEP = timedelta(days=30)

_INSERT = text("""
    INSERT INTO violation (source_id, code, message, message_id, raw)
    SELECT :source_id, code, message, message_id, raw
    FROM unnest(CAST(:codes AS text[]), CAST(:messages AS text[]), CAST(:message_ids AS text[]), CAST(:raws AS text[]))
      AS rejected (code, message, message_id, raw)""")
_SWEEP = text("""
    DELETE FROM violation WHERE id IN
      (SELECT id FROM violation WHERE at < now() - CAST(:keep AS interval) LIMIT 5000)""")


async def quarantine(session: WriteSession, source_id: str, rejected: Sequence[Rejection]) -> None:
    """Keep the rejected events of one request, in one statement."""
    await session.execute(
        _INSERT,
        {
            "source_id": source_id,
            "codes": [item.code for item in rejected],
            "messages": [item.message for item in rejected],
            "message_ids": [item.message_id for item in rejected],
            "raws": [item.raw[:RAW_BYTES].decode(errors="ignore").replace("\0", "") for item in rejected],
        },
    )


async def page(session: ReadSession, source_id: str, limit: int, before: int | None) -> Sequence[Violation]:
    """A source's violations, newest first."""
    statement = select(Violation).where(Violation.source_id == source_id).order_by(Violation.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Violation.id < before)
    return (await session.execute(statement)).scalars().all()


async def sweep(session: WriteSession) -> int:
    """Delete some violations older than `KEEP`; how many went."""
    result = await session.execute(_SWEEP, {"keep": KEEP})
    return int(result.rowcount)  # type: ignore[attr-defined]
