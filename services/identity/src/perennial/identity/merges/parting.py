"""Dividing a customer: who gets which name, and how it is written so that evidence does not join the two again."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from perennial.common.contracts.identity import CustomersSeparated
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.identity import queries
from perennial.identity.graph import Member
from perennial.identity.merges import changes
from perennial.identity.merges import queries as sql
from perennial.identity.queries import Change


class Division(NamedTuple):
    """A customer in two: the side that keeps its name, and the other with a new one, as its rows will be."""

    kept: UUID
    name: UUID
    staying: list[UUID]
    moved: list[Member]


def divide(members: Sequence[Member], leaving: Collection[UUID], old_name: UUID | None = None) -> Division:
    """Part some identifiers of a customer from the rest; the side that holds the founding one keeps the name.

    The other is called by its old name if it holds that identifier, else after its oldest one.
    """
    root = members[0].customer
    moving = [member for member in members if (member.via in leaving) != (root in leaving)]
    vias = {member.via for member in moving}
    name = old_name if old_name in vias and old_name is not None else min(vias)
    moved = [member._replace(customer=name, version=member.version + 1) for member in moving]
    return Division(root, name, [member.via for member in members if member.via not in vias], moved)


async def part(session: WriteSession, division: Division, cause: str, cause_id: UUID, rule: int) -> None:
    """Write it: map, history, separation and facts. The customer must be locked."""
    kept, name, _, moved = division
    await queries.move(session, moved)
    history = [Change(one.via, one.version, name, kept, cause, None, None, cause_id, rule) for one in moved]
    await queries.note(session, history)
    await keep_apart(session, (kept, division.staying), (name, [one.via for one in moved]), cause_id)
    await changes.tell(session, moved)
    await emit(session, CustomersSeparated(merge_id=cause_id, survivor=kept, separated=name, cause=cause))


async def keep_apart(
    session: WriteSession, one: tuple[UUID, Sequence[UUID]], other: tuple[UUID, Sequence[UUID]], cause_id: UUID
) -> None:
    """Evidence does not join two customers (name, identifiers), nor one of them with what leaves the other later."""
    pairs = [(one[0], via) for via in other[1]] + [(via, other[0]) for via in one[1]]
    await sql.separate(session, pairs, cause_id)
