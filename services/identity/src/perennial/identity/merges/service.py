"""Merging two customers by hand, and undoing a merge."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, NotFound
from perennial.identity import queries
from perennial.identity.graph import TWO_USER_IDS, Graph, Member, Side, Union, survivor
from perennial.identity.merges import changes, parting
from perennial.identity.merges import queries as sql
from perennial.identity.policy import queries as policy
from perennial.identity.previews.service import Concerned

SAME_CUSTOMER = "same_customer"


async def merge(
    session: WriteSession,
    pair: Sequence[UUID],
    reason: str,
    principal: Principal,
    because: Mapping[str, Any] | None = None,
) -> UUID:
    """Make one customer of two, whatever evidence and limits say; returns the merge's id.

    `because` is added to its evidence.

    Raises NotFound for an unknown customer, Conflict when they are one already or each has a user_id.
    """
    members = await _locked(session, pair)
    graph = Graph(members)
    one, other = (graph.sides[customer] for customer in pair)
    if one is other:
        raise Conflict("customer_ids: both are the same customer", code=SAME_CUSTOMER, pointer="/customer_ids")
    if one.known_by_name and other.known_by_name:
        raise Conflict(
            "customer_ids: each customer has a user_id, and a customer has only one",
            code=TWO_USER_IDS, pointer="/customer_ids",
        )  # fmt: skip
    keep, give = survivor(one, other)
    return await join(session, members, keep, give, reason, principal, because)


async def join(
    session: WriteSession,
    members: Sequence[Member],
    keep: Side,
    give: Side,
    reason: str,
    principal: Principal,
    because: Mapping[str, Any] | None = None,
) -> UUID:
    """Move one customer's identifiers, locked before, to the other; what a person has parted there is forgotten."""
    evidence = {"reason": reason, "by": f"{principal.kind}:{principal.id}", **(because or {})}
    union = Union(uuid7(), keep.id, give.id, list(keep.members), list(give.members), evidence, kind="manual")
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


async def _locked(session: WriteSession, ids: Sequence[UUID]) -> list[Member]:
    """The identifiers of the customers that `ids` lead to, locked. Raises NotFound."""
    members = await queries.held(session, ids)
    known = {member.via for member in members}
    for index, wanted in enumerate(ids):
        if wanted not in known:
            raise NotFound(f"customer_ids: there is no customer {wanted}", pointer=f"/customer_ids/{index}")
    return members


async def undo(session: WriteSession, merge_id: UUID, reason: str, principal: Principal) -> None:
    """Give the merged side back what it had and what is still with identifiers of the survivor, under its old name.

    The two are not joined by evidence again. Raises NotFound, or Conflict when it was undone before.
    """
    await sql.lock(session, merge_id)
    merge = await sql.one(session, merge_id)
    if merge is None:
        raise NotFound(f"there is no merge {merge_id}", pointer="path/merge_id")
    if merge["undone_at"] is not None:
        raise Conflict("the merge was undone before", code="already_undone")
    divisions = [
        parting.divide(members, leaving, merge["merged"]) for members, leaving in await _leaving(session, merge)
    ]
    if not divisions:
        raise Conflict("nothing of the merged customer is with the survivor any more", code="nothing_to_undo")
    rule = await policy.version(session)
    for division in divisions:
        await parting.part(session, division, "separated", merge_id, rule)
    vias = [member.via for division in divisions for member in division.moved]
    rest = [via for division in divisions for via in division.staying]
    await sql.undo(session, merge_id, f"{principal.kind}:{principal.id}", reason, vias, rest)
    await audit.record(session, principal, "merge.undone", str(merge_id), {"reason": reason, "identifiers": len(vias)})


async def _leaving(session: WriteSession, merge: RowMapping) -> list[tuple[list[Member], set[UUID]]]:
    """Today's customers in which this merge has brought both sides together, each with what leaves it.

    What was parted since from all of the survivor there, and met it again, was joined by other evidence and stays.
    """
    kept, given = set(merge["survivor_vias"]), set(merge["merged_vias"])
    customers: dict[UUID, list[Member]] = {}
    for member in await queries.held(session, kept | given):
        customers.setdefault(member.customer, []).append(member)
    partings = await sql.parted_since(session, merge["created_at"], list(kept | given))
    found = []
    for members in customers.values():
        held = {member.via for member in members}
        leaving = {via for via in held & given if any(_together(via, one, partings) for one in held & kept)}
        if leaving:
            found.append((members, leaving))
    return found


def _together(one: UUID, other: UUID, partings: Sequence[sql.Parted]) -> bool:
    return not any(parting.parts(one, other) for parting in partings)


def of_merge(merge_id: UUID) -> Concerned:
    """Both sides of a merge."""

    async def found(session: ReadSession) -> Collection[UUID]:
        merge = await sql.one(session, merge_id)
        return [] if merge is None else [*merge["survivor_vias"], *merge["merged_vias"]]

    return found
