"""What a person makes of a conflict: the two customers are one after all, or they stay two."""

from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession, lock
from perennial.common.problems import Conflict, NotFound
from perennial.identity import queries as map_queries
from perennial.identity.conflicts import queries
from perennial.identity.graph import APPROVAL, Graph
from perennial.identity.merges import parting
from perennial.identity.merges import service as merges

OPEN, APPROVED, DISMISSED = "open", "approved", "dismissed"


async def approve(session: WriteSession, conflict_id: UUID, reason: str, principal: Principal) -> None:
    """Merge today's two customers; if they are one already, nothing is left to do.

    Raises NotFound, Conflict when it was decided before or each has a user_id.
    """
    conflict = await _undecided(session, conflict_id)
    pair = [conflict["via"], conflict["against"]]
    merge_id = None
    try:
        merge_id = await merges.merge(session, pair, reason, principal, {"conflict_id": str(conflict_id)})
    except Conflict as refused:
        if refused.code != merges.SAME_CUSTOMER:
            raise
    await _decide(session, conflict, APPROVED, reason, principal, merge_id)


async def dismiss(session: WriteSession, conflict_id: UUID, reason: str, principal: Principal) -> None:
    """They stay two. Where only a person's word was missing, they are kept apart: it is not asked again.

    Raises NotFound, Conflict when it was decided before.
    """
    conflict = await _undecided(session, conflict_id)
    if conflict["reason"] == APPROVAL:
        await _keep_apart(session, conflict)
    await _decide(session, conflict, DISMISSED, reason, principal, None)


async def _keep_apart(session: WriteSession, conflict: RowMapping) -> None:
    graph = Graph(await map_queries.held(session, [conflict["via"], conflict["against"]]))
    one, other = graph.sides[conflict["via"]], graph.sides[conflict["against"]]
    if one is not other:
        sides = (one.id, list(one.members)), (other.id, list(other.members))
        await parting.keep_apart(session, *sides, conflict["id"])


async def _undecided(session: WriteSession, conflict_id: UUID) -> RowMapping:
    # Not the row: whoever decides events holds customers when it counts a conflict, so customers come first.
    await lock(session, "identity", "conflict", conflict_id)
    conflict = await queries.one(session, conflict_id)
    if conflict is None:
        raise NotFound(f"there is no conflict {conflict_id}", pointer="path/conflict_id")
    if conflict["state"] != OPEN:
        raise Conflict(f"the conflict is {conflict['state']}", code="already_decided")
    return conflict


async def _decide(
    session: WriteSession, conflict: RowMapping, state: str, reason: str, principal: Principal, merge_id: UUID | None
) -> None:
    await queries.decide(session, conflict["id"], state, f"{principal.kind}:{principal.id}", reason, merge_id)
    if state == DISMISSED and conflict["reason"] == APPROVAL:
        await queries.answer(session, conflict["id"])
    detail = {"reason": reason, "via": conflict["via"], "against": conflict["against"], "merge": merge_id}
    await audit.record(session, principal, f"conflict.{state}", str(conflict["id"]), detail)
