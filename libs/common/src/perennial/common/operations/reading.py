"""Reading operations."""

from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.common.operations.out import OperationOut

_COLUMNS = """
    o.id, o.kind, o.state, o.cancelling, o.who, o.input, o.done, o.total, o.result, o.error, o.created_at, o.started_at,
    o.finished_at, o.expires_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('name', name, 'media_type', media_type, 'bytes', bytes) ORDER BY name)
              FROM (SELECT name, max(media_type) AS media_type, sum(octet_length(chunk)) AS bytes
                    FROM operation_file WHERE operation_id = o.id GROUP BY name) AS file), '[]') AS files"""
_ONE = text(f"SELECT {_COLUMNS} FROM operation AS o WHERE id = :id")  # noqa: S608 (constants of ours)
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM operation AS o
    WHERE (CAST(:who AS text) IS NULL OR who = :who)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:before AS uuid) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :limit""")  # noqa: S608 (constants of ours)


async def by_id(session: ReadSession, operation_id: UUID) -> OperationOut | None:
    """One operation, all of it."""
    row = (await session.execute(_ONE, {"id": operation_id})).one_or_none()
    return OperationOut.model_validate(row) if row else None


async def page(
    session: ReadSession, *, who: str | None, kind: str | None, state: str | None, before: UUID | None, limit: int
) -> list[OperationOut]:
    """The newest operations first, of one who started them or of everybody."""
    bound = {"who": who, "kind": kind, "state": state, "before": before, "limit": limit}
    return [OperationOut.model_validate(row) for row in await session.execute(_PAGE, bound)]
