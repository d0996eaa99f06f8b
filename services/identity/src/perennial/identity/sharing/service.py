"""A person says that an identifier belongs to several people, or that it does not after all."""

from uuid import UUID

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.identity import queries
from perennial.identity.graph import Graph, Member, Parting
from perennial.identity.merges import changes
from perennial.identity.policy import queries as policy
from perennial.identity.policy.rules import USER_ID
from perennial.identity.sharing import queries as sql


async def share(session: WriteSession, via: UUID, reason: str, principal: Principal) -> None:
    """Take an identifier out of its customer; from now on it joins nobody.

    Raises NotFound, Unprocessable for a user id, Conflict when it is shared already.
    """
    members, member = await _held(session, via)
    if member.kind == USER_ID:
        raise Unprocessable(
            "identifier_id: a user_id is one person's", code="not_shareable", pointer="path/identifier_id"
        )
    if member.shared:
        raise Conflict("the identifier is shared already", code="already_shared")
    graph = Graph(members)
    graph.part(via)
    moved = [
        one._replace(customer=graph.sides[one.via].id, version=one.version + 1)
        for one in members
        if graph.sides[one.via].id != one.customer or (one.via == via and len(members) > 1)
    ]
    await sql.share(session, via, f"{principal.kind}:{principal.id}", reason)
    parting = Parting(via, member.customer, frozenset())
    rule = await policy.version(session)
    await changes.record(session, [], moved, changes.Reasons(rule, partings=[parting]))
    detail = {"reason": reason, "customer": member.customer}
    await audit.record(session, principal, "identifier.shared", str(via), detail)


async def unshare(session: WriteSession, via: UUID, reason: str, principal: Principal) -> None:
    """It is one person's; whose, later evidence says. Raises NotFound, Conflict when it is not shared."""
    _, member = await _held(session, via)
    if not member.shared:
        raise Conflict("the identifier is not shared", code="not_shared")
    await sql.unshare(session, via)
    await audit.record(session, principal, "identifier.unshared", str(via), {"reason": reason})


async def _held(session: WriteSession, via: UUID) -> tuple[list[Member], Member]:
    members = await queries.held(session, [via])
    for member in members:
        if member.via == via:
            return members, member
    raise NotFound(f"there is no identifier {via}", pointer="path/identifier_id")
