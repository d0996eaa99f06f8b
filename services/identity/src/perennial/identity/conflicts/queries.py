"""The queue of conflicts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7

_SHOWN = """
    SELECT c.id, c.reason, c.kind, c.via, c.against, v.customer_id, a.customer_id AS against_customer_id, c.count,
           c.evidence, c.last_event_id, c.first_at, c.last_at, c.state, c.decided_at, c.decided_by, c.decision,
           c.merge_id
    FROM conflict c JOIN identity_map v ON v.via = c.via JOIN identity_map a ON a.via = c.against"""
_LIST = text(f"""{_SHOWN}
    WHERE (CAST(:before AS uuid) IS NULL OR c.id < CAST(:before AS uuid))
      AND (CAST(:reason AS text) IS NULL OR c.reason = :reason)
      AND (CAST(:state AS text) IS NULL OR c.state = :state)
      AND (CAST(:vias AS uuid[]) IS NULL OR c.via = ANY(:vias) OR c.against = ANY(:vias))
    ORDER BY c.id DESC LIMIT :limit""")
_ONE = text(f"{_SHOWN} WHERE c.id = :id")
_DECIDE = text("""
    UPDATE conflict SET state = :state, decided_at = now(), decided_by = :who, decision = :reason, merge_id = :merge
    WHERE id = :id""")
_ANSWERED = text("""
    INSERT INTO conflict (id, reason, kind, via, against, count, evidence, last_event_id, state, decided_at,
                          decided_by, decision)
    SELECT :new, 'separated', kind, via, against, 0, evidence, last_event_id, state, decided_at, decided_by, decision
    FROM conflict WHERE id = :id
    ON CONFLICT (via, against, reason) DO UPDATE SET
        state = excluded.state, decided_at = excluded.decided_at, decided_by = excluded.decided_by,
        decision = excluded.decision
    WHERE conflict.state = 'open'""")


async def listing(
    session: ReadSession,
    before: UUID | None,
    limit: int,
    reason: str | None = None,
    state: str | None = None,
    vias: Sequence[UUID] | None = None,
) -> Sequence[RowMapping]:
    """Conflicts, newest first, with today's customers of both identifiers; of these identifiers only, if any."""
    wanted = {"before": before, "limit": limit, "reason": reason, "state": state, "vias": vias}
    return (await session.execute(_LIST, wanted)).mappings().all()


async def one(session: ReadSession, conflict_id: UUID) -> RowMapping | None:
    """A conflict."""
    return (await session.execute(_ONE, {"id": conflict_id})).mappings().one_or_none()


async def decide(
    session: WriteSession, conflict_id: UUID, state: str, who: str, reason: str, merge: UUID | None
) -> None:
    """Note what a person has decided."""
    values = {"id": conflict_id, "state": state, "who": who, "reason": reason, "merge": merge}
    await session.execute(_DECIDE, values)


async def answer(session: WriteSession, conflict_id: UUID) -> None:
    """That these two are kept apart from now on was decided here: it is not queued as a question of its own."""
    await session.execute(_ANSWERED, {"id": conflict_id, "new": uuid7()})
