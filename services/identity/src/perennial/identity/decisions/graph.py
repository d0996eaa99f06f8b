"""Which identifiers belong together, decided in memory for the customers that a pull brings together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from perennial.common.identifiers import KINDS
from perennial.common.ids import uuid7

RULE = 1  # the version of what this module decides, noted beside every change
TWO_USER_IDS, LIMIT, SEPARATED = "two_user_ids", "limit", "separated"


class Member(NamedTuple):
    """An identifier as the map has it. Version 0 is one that this transaction has found for the first time."""

    via: UUID
    customer: UUID
    version: int
    kind: str
    digest: bytes


class Meeting(NamedTuple):
    """An event that bears several identifiers, strongest first."""

    event_id: UUID
    source: str
    message_id: str
    live: bool
    members: Sequence[Member]

    def evidence(self) -> dict[str, Any]:
        """What the history keeps of it; values of identifiers stay out."""
        identifiers = [{"id": str(member.via), "kind": member.kind} for member in self.members]
        return {"event_id": str(self.event_id), "source": self.source, "message_id": self.message_id,
                "identifiers": identifiers}  # fmt: skip


@dataclass(eq=False, slots=True)
class Side:
    """A customer. It bears the id of the identifier that founded it; `born` once an event has passed over it."""

    id: UUID
    members: dict[UUID, str]
    born: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in self.members.values():
            self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def known_by_name(self) -> bool:
        """Whether it has a user_id."""
        return "user_id" in self.counts


@dataclass(frozen=True, slots=True)
class Attachment:
    """Why new identifiers belong to a customer: the event, and the identifier beside which they stood."""

    vias: tuple[UUID, ...]
    event_id: UUID
    through: UUID


@dataclass(frozen=True, slots=True)
class Union:
    """Two customers became one; both sides as they were before."""

    id: UUID
    survivor: UUID
    merged: UUID
    survivor_vias: list[UUID]
    merged_vias: list[UUID]
    evidence: Mapping[str, Any]
    event_id: UUID | None = None
    kind: str = "auto"
    live: bool = True


@dataclass(slots=True)
class Conflict:
    """An identifier was left out of an event, so often."""

    reason: str
    kind: str
    via: UUID
    against: UUID
    evidence: Mapping[str, Any]
    last_event_id: UUID
    count: int = 1


class Graph:
    """Customers being joined. Feed it meetings in their order of arrival, then read what came of them."""

    def __init__(self, members: Iterable[Member], separations: Iterable[tuple[UUID, UUID]] = ()) -> None:
        grouped: dict[UUID, dict[UUID, str]] = {}
        for member in members:
            grouped.setdefault(member.customer, {})[member.via] = member.kind
        self.sides = {via: side for name, vias in grouped.items() for side in [Side(name, vias)] for via in vias}
        self.separations = list(separations)
        self.attachments: list[Attachment] = []
        self.unions: list[Union] = []
        self.conflicts: dict[tuple[UUID, UUID, str], Conflict] = {}

    def meet(self, meeting: Meeting) -> None:
        """Join the customers of one event, in the order of evidence; what may not be joined is left out."""
        strongest = meeting.members[0]
        base = self._side(strongest)
        touched = [base]
        for member in meeting.members[1:]:
            side = self._side(member)
            touched.append(side)
            if side is base:
                continue
            refused = self.refusal(base, side)
            if refused:
                self._leave_out(meeting, strongest, member, refused)
            else:
                base = self._join(base, side, meeting, strongest.via)
        for side in touched:
            side.born = True

    def refusal(self, one: Side, other: Side) -> tuple[str, str] | None:
        """Why two customers may not be joined by evidence (reason, kind), or None."""
        for kind, count in other.counts.items():
            if kind in one.counts and one.counts[kind] + count > KINDS[kind].limit:
                return (TWO_USER_IDS if kind == "user_id" else LIMIT, kind)
        for low, high in self.separations:
            if {self.sides[low].id, self.sides[high].id} == {one.id, other.id}:
                return (SEPARATED, "")
        return None

    def _side(self, member: Member) -> Side:
        side = self.sides.get(member.via)
        if side is None:
            side = self.sides[member.via] = Side(member.via, {member.via: member.kind}, born=False)
        return side

    def _join(self, base: Side, side: Side, meeting: Meeting, through: UUID) -> Side:
        if base.born and side.born:
            keep, give = survivor(base, side)
            union = Union(
                uuid7(), keep.id, give.id, list(keep.members), list(give.members), meeting.evidence(),
                meeting.event_id, live=meeting.live,
            )  # fmt: skip
            self.unions.append(union)
        else:  # a new identifier joins a customer; that is no merge
            keep, give = (side, base) if side.born else (base, side)
            self.attachments.append(Attachment(tuple(give.members), meeting.event_id, through))
        self.unite(keep, give)
        return keep

    def unite(self, keep: Side, give: Side) -> None:
        """Move all members of one side to the other."""
        keep.members.update(give.members)
        for kind, count in give.counts.items():
            keep.counts[kind] = keep.counts.get(kind, 0) + count
        for via in give.members:
            self.sides[via] = keep

    def _leave_out(self, meeting: Meeting, strongest: Member, member: Member, refused: tuple[str, str]) -> None:
        reason, kind = refused
        key = (member.via, strongest.via, reason)
        known = self.conflicts.get(key)
        if known is not None:
            known.count += 1
            known.last_event_id = meeting.event_id
        else:
            self.conflicts[key] = Conflict(
                reason, kind or member.kind, member.via, strongest.via, meeting.evidence(), meeting.event_id
            )


def survivor(one: Side, other: Side) -> tuple[Side, Side]:
    """Who keeps the name and who gives it up: whoever has a user_id stays, else the older."""
    if one.known_by_name != other.known_by_name:
        return (one, other) if one.known_by_name else (other, one)
    return (one, other) if one.id < other.id else (other, one)
