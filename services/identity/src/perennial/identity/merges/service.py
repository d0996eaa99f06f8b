"""Merging two customers by hand, and undoing a merge."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.contracts.identity import CustomersSeparated
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit
from perennial.common.problems import Conflict, NotFound
from perennial.identity import changes, queries
from perennial.identity.decisions.graph import TWO_USER_IDS, Graph, Member, Side, Union, survivor
from perennial.identity.merges import queries as sql
from perennial.identity.policy import queries as policy
from perennial.identity.queries import Change


async def merge(session: WriteSession, pair: Sequence[UUID], reason: str, principal: Principal) -> UUID:
    """Make one customer of two, whatever evidence and limits say; returns the merge's id.

    Raises NotFound for an unknown customer, Conflict when they are one already or each has a user_id.
    """
    members = await _locked(session, pair)
    graph = Graph(members)
    one, other = (graph.sides[customer] for customer in pair)
    if one is other:
        raise Conflict("customer_ids: both are the same customer", code="same_customer", pointer="/customer_ids")
    if one.known_by_name and other.known_by_name:
        raise Conflict(
            "customer_ids: each customer has a user_id, and a customer has only one",
            code=TWO_USER_IDS, pointer="/customer_ids",
        )  # fmt: skip
    keep, give = survivor(one, other)
    union = _by_hand(keep, give, reason, principal)
    await sql.forget_separations(session, union.survivor_vias, union.merged_vias)
    moved = [
        member._replace(customer=keep.id, version=member.version + 1)
        for member in members
        if member.via in give.members
    ]
    rule = await policy.version(session)
    await changes.record(session, [], moved, changes.Reasons(rule, unions=[union]))
    await audit.record(session, principal, "merge.created", str(union.id), union.evidence)
    return union.id


def _by_hand(keep: Side, give: Side, reason: str, principal: Principal) -> Union:
    evidence = {"reason": reason, "by": f"{principal.kind}:{principal.id}"}
    return Union(uuid7(), keep.id, give.id, list(keep.members), list(give.members), evidence, kind="manual")


async def _locked(session: WriteSession, ids: Sequence[UUID]) -> list[Member]:
    """The identifiers of the customers that `ids` lead to, locked. Begins again when they moved meanwhile."""
    while True:
        today = await queries.resolve(session, ids)
        for index, wanted in enumerate(ids):
            if wanted not in today:
                raise NotFound(f"customer_ids: there is no customer {wanted}", pointer=f"/customer_ids/{index}")
        customers = set(today.values())
        if await queries.lock_customers(session, customers) == customers:
            return await queries.members(session, customers)


async def undo(session: WriteSession, merge_id: UUID, reason: str, principal: Principal) -> None:
    """Give the merged side back what it had and what is still with the survivor, under its old name.

    The two are not joined by evidence again. Raises NotFound, or Conflict when it was undone before.
    """
    await sql.lock(session, merge_id)
    merge = await sql.one(session, merge_id)
    if merge is None:
        raise NotFound(f"there is no merge {merge_id}", pointer="path/merge_id")
    if merge["undone_at"] is not None:
        raise Conflict("the merge was undone before", code="already_undone")
    leaving = await _leaving(session, merge)
    if not leaving:
        raise Conflict("nothing of the merged customer is with the survivor any more", code="nothing_to_undo")
    vias = [member.via for member in leaving]
    name = merge["merged"] if merge["merged"] in vias else min(vias)
    root = leaving[0].customer
    moved = [member._replace(customer=name, version=member.version + 1) for member in leaving]
    rule = await policy.version(session)
    await queries.move(session, moved)
    await queries.note(
        session,
        [Change(m.via, m.version, name, root, "separated", None, None, merge_id, rule) for m in moved],
    )
    await sql.undo(session, merge_id, f"{principal.kind}:{principal.id}", reason, vias)
    await sql.separate(session, merge["survivor"], name, merge_id)
    await changes.tell(session, moved)
    await emit(session, CustomersSeparated(merge_id=merge_id, survivor=root, separated=name))
    await audit.record(session, principal, "merge.undone", str(merge_id), {"reason": reason, "identifiers": len(vias)})


async def _leaving(session: WriteSession, merge: RowMapping) -> list[Member]:
    """Of the merged side's identifiers, those that have been with the survivor ever since.

    Another undo may have parted them; that they met again was then decided by other evidence.
    """
    survivor_id, leaving = merge["survivor"], set(merge["merged_vias"])
    members = await _locked(session, [survivor_id])
    concerned = [survivor_id, *leaving]
    for moved in await sql.undone_since(session, merge["id"], merge["created_at"], concerned):
        leaving = leaving & moved if survivor_id in moved else leaving - moved
    return [member for member in members if member.via in leaving]
