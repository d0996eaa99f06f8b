"""Splitting a customer by hand, and undoing a split."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.identity import queries
from perennial.identity.graph import SEPARATED, TWO_USER_IDS, Graph, Member, Side
from perennial.identity.merges import parting
from perennial.identity.merges import service as merges
from perennial.identity.policy import queries as policy
from perennial.identity.previews.service import Concerned
from perennial.identity.splits import queries as sql

CAUSE = "split"


async def split(
    session: WriteSession, any_id: UUID, identifiers: Sequence[UUID], reason: str, principal: Principal
) -> UUID:
    """Make two customers of one: these identifiers, and the rest. Returns the split's id.

    Evidence does not join the two again. Raises NotFound for an unknown customer, Unprocessable when the identifiers
    are not some, but not all, of its own.
    """
    members = await queries.held(session, [any_id])
    if not members:
        raise NotFound(f"customer_id: there is no customer {any_id}", pointer="/customer_id")
    leaving = _chosen(members, identifiers)
    division = parting.divide(members, leaving)
    split_id, rule, who = uuid7(), await policy.version(session), f"{principal.kind}:{principal.id}"
    remaining = [member.via for member in members if member.via not in leaving]
    made = sql.NewSplit(split_id, division.kept, division.name, sorted(leaving), remaining, reason, rule, who)
    await sql.add(session, made)
    await parting.part(session, division, CAUSE, split_id, rule)
    detail = {"reason": reason, "customer": division.kept, "separated": division.name, "identifiers": sorted(leaving)}
    await audit.record(session, principal, "split.created", str(split_id), detail)
    return split_id


def _chosen(members: Sequence[Member], identifiers: Sequence[UUID]) -> set[UUID]:
    held = {member.via for member in members}
    for index, via in enumerate(identifiers):
        if via not in held:
            raise Unprocessable(
                f"identifiers: {via} is no identifier of this customer",
                code="not_of_customer", pointer=f"/identifiers/{index}",
            )  # fmt: skip
    if held == set(identifiers):
        raise Unprocessable(
            "identifiers: at least one identifier must remain", code="nothing_remains", pointer="/identifiers"
        )
    return set(identifiers)


async def undo(session: WriteSession, split_id: UUID, reason: str, principal: Principal) -> None:
    """Join the two again, with all that each holds by now; the side that was split gives the name.

    Raises NotFound; Conflict when it was undone before, when the two are one already, when each has a user_id, or when
    something else keeps them apart: another split, an undone merge or a dismissed conflict.
    """
    await sql.hold(session, split_id)
    made = await sql.one(session, split_id)
    if made is None:
        raise NotFound(f"there is no split {split_id}", pointer="path/split_id")
    if made["undone_at"] is not None:
        raise Conflict("the split was undone before", code="already_undone")
    members = await queries.held(session, [*made["identifiers"], *made["remaining"]])
    keep, give = _sides(members, made)
    if keep is give:
        raise Conflict("the two are one customer already", code=merges.SAME_CUSTOMER)
    if keep.known_by_name and give.known_by_name:
        raise Conflict("each customer has a user_id, and a customer has only one", code=TWO_USER_IDS)
    if await sql.forbidden(session, split_id, list(keep.members), list(give.members)):
        raise Conflict("another decision keeps the two apart; POST /v1/merges joins them all the same", code=SEPARATED)
    because = {"split_id": str(split_id)}
    merge_id = await merges.join(session, members, keep, give, reason, principal, because)
    await sql.undo(session, split_id, f"{principal.kind}:{principal.id}", reason, merge_id)
    await audit.record(session, principal, "split.undone", str(split_id), {"reason": reason, "merge": merge_id})


def _sides(members: Sequence[Member], made: RowMapping) -> tuple[Side, Side]:
    """Today's customers of both sides: who holds the side's name, or its oldest identifier that is one person's."""
    graph = Graph(members)
    shared = {member.via for member in members if member.shared}
    found = []
    for name in (made["customer_id"], made["separated"]):
        vias = made["identifiers"] if name in made["identifiers"] else made["remaining"]
        left = [via for via in (name, *sorted(vias)) if via not in shared]
        if not left:
            raise Conflict("every identifier of one side is shared by now", code="nothing_to_undo")
        found.append(graph.sides[left[0]])
    return found[0], found[1]


def of_split(split_id: UUID) -> Concerned:
    """Both sides of a split."""

    async def found(session: ReadSession) -> Collection[UUID]:
        split = await sql.one(session, split_id)
        return [] if split is None else [*split["identifiers"], *split["remaining"]]

    return found
