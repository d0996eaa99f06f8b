"""Joins the customers whom a pull's events bring together, with all of them locked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from perennial.common.db import WriteSession
from perennial.identity import queries
from perennial.identity.decisions import queries as sql
from perennial.identity.graph import Graph, Meeting, Member
from perennial.identity.policy.rules import Policy
from perennial.identity.vault import Vault


class RootsMoved(Exception):  # noqa: N818 (not an error: somebody else was first, begin again)
    """Another transaction decided the same event or moved the same customers: roll back and decide again."""


@dataclass
class Joined:
    """What became of the map: its new and its moved rows, the graph that knows why, and who speaks for each meeting."""

    new: list[Member] = field(default_factory=list)
    moved: list[Member] = field(default_factory=list)
    graph: Graph = field(default_factory=lambda: Graph([]))
    speakers: list[Member] = field(default_factory=list)


async def join(session: WriteSession, meetings: Sequence[Meeting], policy: Policy, vault: Vault) -> Joined:
    """Join customers where an event brings new identifiers or more than one customer; mostly there is none."""
    joined = Joined(graph=Graph([], policy=policy))
    opened: dict[int, Meeting] = {}
    together: list[Member] = []
    for index, meeting in enumerate(meetings):
        alone = _joining(meeting.members, policy)
        joined.speakers.append(alone[0] if alone else meeting.members[0])
        if _opens(alone) or _new(meeting.members):
            opened[index] = meeting
            if len(meeting.members) > 1:
                together += [member for member in alone if member.version]
    if opened:
        locked = await _ruled(session, await _locked(session, meetings, together), policy, vault)
        graph = joined.graph = await _graph(session, locked, together, policy)
        for index, meeting in enumerate(meetings):
            if index in opened or any(member.via in graph.sides for member in meeting.members):
                joined.speakers[index] = graph.meet(meeting)
        _compare(joined, opened.values(), locked)
    return joined


async def _ruled(session: WriteSession, members: Sequence[Member], policy: Policy, vault: Vault) -> Sequence[Member]:
    """The same with their rules: a namespace or an app stands in the sealed value alone."""
    hidden = [member.via for member in members if member.kind in policy.scoped]
    if not hidden:
        return members
    names = {
        one.id: policy.named(one.kind, vault.open(one.sealed, one.digest)) for one in await sql.sealed(session, hidden)
    }
    return [member._replace(rule=names.get(member.via, member.kind)) for member in members]


async def _graph(session: WriteSession, locked: Sequence[Member], together: Sequence[Member], policy: Policy) -> Graph:
    """The customers who may be joined, with what keeps them apart."""
    if not locked:
        return Graph([], policy=policy)
    several = any(member.customer != locked[0].customer for member in locked)
    separations = await sql.separations(session, [member.via for member in locked]) if several else []
    # One customer is enough for these: the user id it meets may be new.
    met = await sql.met(session, list({member.via for member in together}))
    return Graph(locked, separations, policy, met)


def _compare(joined: Joined, opened: Iterable[Meeting], locked: Iterable[Member]) -> None:
    """The rows of the map that are new, and those whose customer is another one now.

    A founder that has become shared keeps its name and loses its customer: that is a change, too.
    """
    sides, shared = joined.graph.sides, joined.graph.shared
    new = {member.via: member for meeting in opened for member in meeting.members if not member.version}
    joined.new = [member._replace(customer=sides[via].id, version=1) for via, member in new.items()]
    joined.moved = [
        member._replace(customer=sides[member.via].id, version=member.version + 1)
        for member in locked
        if sides[member.via].id != member.customer or member.via in shared
    ]


def _joining(members: Sequence[Member], policy: Policy) -> list[Member]:
    """The identifiers that may join customers: one person's, as far as is known."""
    return [member for member in members if not member.shared and policy.rules[member.group].unique]


def _new(members: Sequence[Member]) -> bool:
    return any(not member.version for member in members)


def _opens(members: Sequence[Member]) -> bool:
    return any(member.customer != members[0].customer for member in members[1:])


async def _locked(session: WriteSession, meetings: Iterable[Meeting], together: Iterable[Member]) -> Sequence[Member]:
    """All identifiers of the customers that may be joined, locked.

    Raises RootsMoved when they are not what the look-up saw of them. One that has become shared may still be a
    customer's founder: its place alone does not tell.
    """
    customers = {member.customer for member in together}
    if not customers:
        return []
    if await queries.lock_customers(session, customers) != customers:
        raise RootsMoved
    locked = await queries.members(session, customers)
    today = {member.via: member for member in locked}
    for meeting in meetings:
        for seen in meeting.members:
            if seen.customer in customers:
                found = today.get(seen.via)
                if found is None or (found.customer, found.shared) != (seen.customer, seen.shared):
                    raise RootsMoved
    return locked
