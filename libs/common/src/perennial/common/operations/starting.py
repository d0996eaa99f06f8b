"""Starting an operation and cancelling it, in the caller's transaction."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from sqlalchemy import text

from perennial.common import notify
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.operations import reading
from perennial.common.operations.out import OperationOut, name_of
from perennial.common.problems import Conflict, NotFound
from perennial.common.web import idempotency, prefer
from perennial.common.web.deps import runtime_of

KEEP = timedelta(days=7)

_START = text("""
    INSERT INTO operation (id, kind, who, principal, input, total)
    VALUES (:id, :kind, :who, CAST(:principal AS jsonb), CAST(:input AS jsonb), :total)""")
_CANCEL = text("""
    UPDATE operation SET cancelling = state = 'running', next_at = clock_timestamp(),
        state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
        finished_at = CASE state WHEN 'queued' THEN clock_timestamp() END,
        expires_at = CASE state WHEN 'queued' THEN clock_timestamp() + :keep END
    WHERE id = :id AND state IN ('queued', 'running')""")


async def start(
    session: WriteSession, principal: Principal, kind: str, given: Mapping[str, Any], *, total: int | None = None
) -> OperationOut:
    """Have an operation done after this transaction commits; `given` is its input, a JSON object."""
    operation_id = uuid7()
    asks = {
        "kind": principal.kind,
        "id": principal.id,
        "scopes": sorted(principal.scopes),
        "fields": sorted(principal.fields),
    }
    bound = {
        "id": operation_id,
        "kind": kind,
        "who": name_of(principal),
        "principal": json.dumps(asks),
        "input": json.dumps(dict(given), default=str),
        "total": total,
    }
    await session.execute(_START, bound)
    await notify.notify(session, notify.OPERATIONS)
    return await _found(session, operation_id)


async def cancel(session: WriteSession, operation_id: UUID) -> OperationOut:
    """Have no further step done. Cancelling twice is no error; raises Conflict for one that has ended otherwise."""
    await session.execute(_CANCEL, {"id": operation_id, "keep": KEEP})
    found = await _found(session, operation_id)
    if found.state in {"succeeded", "failed"}:
        raise Conflict(f"the operation has {found.state} already", code="operation_over")
    await notify.notify(session, notify.OPERATIONS)
    return found


async def accepted(
    request: Request,
    once: idempotency.Once | None,
    session: WriteSession,
    call: Callable[[], Awaitable[OperationOut]],
) -> Response:
    """202 with where to ask about the operation that `call` starts, or about the one that the key stands for."""
    where = f"/v1/operations/{runtime_of(request).name}/{{id}}"
    answer = await idempotency.run(once, session, call, 202, location=where)
    if prefer.wants(request.scope, prefer.ASYNC):
        prefer.applied(answer.headers, prefer.ASYNC)
    return answer


async def _found(session: WriteSession, operation_id: UUID) -> OperationOut:
    found = await reading.by_id(session, operation_id)
    if found is None:
        raise NotFound("there is no such operation", code="unknown_operation")
    return found
