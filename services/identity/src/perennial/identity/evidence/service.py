"""The graph behind a customer: identifiers, and what has joined them."""

import heapq
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common.db import ReadSession
from perennial.identity.evidence import queries

MOST = 1000
ROUNDS = 50
DETOUR = 1000  # what joined two, but no longer does, counts as so many steps


@dataclass(frozen=True)
class Edge:
    """Two identifiers that evidence, or a person, has joined: `joined` came to the customer that held `through`."""

    cause: str
    through: UUID
    joined: UUID
    rule: int
    at: datetime
    event_id: UUID | None = None
    source: str | None = None
    message_id: str | None = None
    merge_id: UUID | None = None
    reason: str | None = None
    by: str | None = None
    undone_at: datetime | None = None


async def edges(session: ReadSession, vias: Iterable[UUID]) -> list[Edge]:
    """All that has joined these, and those through which they were joined, whoever has left since.

    Any two identifiers of a customer are connected by them: each union of two customers has left an edge.
    """
    found: dict[tuple[UUID, UUID | None], Edge] = {}
    known: set[UUID] = set()
    new = set(vias)
    for _ in range(ROUNDS):
        if not new:
            break
        known |= new
        for row in await queries.attached(session, new):
            found[row["via"], None] = _attached(row)
        for row in await queries.merged(session, new):
            edge = _merged(row)
            found[edge.joined, edge.merge_id] = edge
        new = {end for edge in found.values() for end in (edge.through, edge.joined)} - known
    return sorted(found.values(), key=lambda edge: (edge.at, edge.joined))


def _attached(row: RowMapping) -> Edge:
    return Edge("attached", row["through"], row["via"], row["rule"], row["at"], row["event_id"])


def _merged(row: RowMapping) -> Edge:
    evidence: dict[str, Any] = row["evidence"]
    said = [UUID(item["id"]) for item in evidence.get("identifiers", ())]
    through = next((via for via in said if via in row["survivor_vias"]), row["survivor"])
    joined = next((via for via in said if via in row["merged_vias"]), row["merged"])
    event_id = evidence.get("event_id")
    return Edge(
        "merged", through, joined, row["rule"], row["created_at"], UUID(event_id) if event_id else None,
        evidence.get("source"), evidence.get("message_id"), row["id"], evidence.get("reason"), evidence.get("by"),
        row["undone_at"],
    )  # fmt: skip


def chain(found: Sequence[Edge], members: Container[UUID], start: UUID, goal: UUID) -> list[tuple[UUID, UUID, Edge]]:
    """The shortest way from one identifier of a customer to another, step by step (from, to, what joined them).

    It goes over what has left the customer, and over merges that were undone, only where there is no other way.
    """
    beside: dict[UUID, list[tuple[UUID, Edge]]] = {}
    for edge in found:
        beside.setdefault(edge.through, []).append((edge.joined, edge))
        beside.setdefault(edge.joined, []).append((edge.through, edge))
    came: dict[UUID, tuple[UUID, Edge] | None] = {}
    waiting: list[tuple[int, int, UUID, tuple[UUID, Edge] | None]] = [(0, 0, start, None)]
    pushed = 0
    while waiting:
        cost, _, here, step = heapq.heappop(waiting)
        if here in came:
            continue
        came[here] = step
        if here == goal:
            break
        for there, edge in beside.get(here, ()):
            if there not in came:
                pushed += 1
                stands = edge.undone_at is None and there in members
                heapq.heappush(waiting, (cost + (1 if stands else DETOUR), pushed, there, (here, edge)))
    return _walked(came, goal)


def _walked(came: dict[UUID, tuple[UUID, Edge] | None], goal: UUID) -> list[tuple[UUID, UUID, Edge]]:
    steps = []
    here = goal
    while (step := came.get(here)) is not None:
        steps.append((step[0], here, step[1]))
        here = step[0]
    return steps[::-1]
