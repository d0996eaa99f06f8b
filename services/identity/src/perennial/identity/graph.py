"""Which identifiers belong together, decided in memory for the customers that a pull brings together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from perennial.common.ids import uuid7
from perennial.identity.policy.rules import DEFAULT, USER_ID, Policy

TWO_USER_IDS, LIMIT, SEPARATED, APPROVAL = "two_user_ids", "limit", "separated", "approval"
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Member(NamedTuple):
    """An identifier as the map has it. Version 0 is one that this transaction has found for the first time.

    One that is `shared` belongs to several people and joins nobody. `since` is when it was first seen, where asked for.
    `rule` is the name of the rule that it is under, where that is not its kind's.
    """

    via: UUID
    customer: UUID
    version: int
    kind: str
    digest: bytes
    shared: bool = False
    since: datetime = LONG_AGO
    rule: str = ""

    @property
    def group(self) -> str:
        """The name of the rule that it is under: with whom it is counted."""
        return self.rule or self.kind


class Meeting(NamedTuple):
    """An event that bears several identifiers, strongest first."""

    event_id: UUID
    source: str
    message_id: str
    live: bool
    at: datetime
    members: Sequence[Member]

    def evidence(self) -> dict[str, Any]:
        """What the history keeps of it; values of identifiers stay out."""
        identifiers = [{"id": str(member.via), "kind": member.kind} for member in self.members]
        return {"event_id": str(self.event_id), "source": self.source, "message_id": self.message_id,
                "identifiers": identifiers}  # fmt: skip


@dataclass(eq=False, slots=True)
class Side:
    """A customer: its identifiers with the names of their rules. It bears the id of the one that founded it.

    It is `born` once an event has passed over it.
    """

    id: UUID
    members: dict[UUID, str]
    born: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    since: dict[UUID, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in self.members.values():
            self.counts[group] = self.counts.get(group, 0) + 1

    @property
    def known_by_name(self) -> bool:
        """Whether it has a user_id."""
        return USER_ID in self.counts

    @property
    def user(self) -> UUID | None:
        """The identifier that is its user_id."""
        return next((via for via, group in self.members.items() if group == USER_ID), None)

    def held(self, group: str, since: datetime | None) -> int:
        """How many identifiers under a rule it holds; of those that came after an instant only, if one is given."""
        if since is None:
            return self.counts.get(group, 0)
        return sum(held == group and self.since.get(via, LONG_AGO) > since for via, held in self.members.items())


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


@dataclass(frozen=True, slots=True)
class Parting:
    """An identifier turned out to be shared, and left the customer that it was with; no event: a person says so."""

    via: UUID
    customer: UUID
    met: frozenset[UUID]
    event_id: UUID | None = None


@dataclass(slots=True)
class Conflict:
    """An identifier was left out of an event, so often."""

    reason: str
    kind: str  # or the name of a namespace's or an app's rule
    via: UUID
    against: UUID
    evidence: Mapping[str, Any]
    last_event_id: UUID
    count: int = 1


class Graph:
    """Customers being joined. Feed it meetings in their order of arrival, then read what came of them.

    `met` are the user ids that an identifier was seen beside and not joined with.
    """

    def __init__(
        self,
        members: Iterable[Member],
        separations: Iterable[tuple[UUID, UUID]] = (),
        policy: Policy = DEFAULT,
        met: Mapping[UUID, Iterable[UUID]] | None = None,
    ) -> None:
        grouped: dict[UUID, list[Member]] = {}
        for member in members:
            grouped.setdefault(member.customer, []).append(member)
        self.sides: dict[UUID, Side] = {}
        for name, held in grouped.items():
            side = Side(name, {member.via: member.group for member in held})
            side.since = {member.via: member.since for member in held}
            self.sides.update(dict.fromkeys(side.members, side))
        self.separations = list(separations)
        self.policy = policy
        self.met = {via: set(users) for via, users in (met or {}).items()}
        self.met_now: dict[tuple[UUID, UUID], None] = {}
        self.shared: dict[UUID, Parting] = {}
        self.attachments: list[Attachment] = []
        self.unions: list[Union] = []
        self.conflicts: dict[tuple[UUID, UUID, str], Conflict] = {}

    def speaker(self, members: Sequence[Member]) -> Member:
        """The identifier that speaks for an event: the strongest that is one person's, else the strongest."""
        return next((member for member in members if not self._apart(member)), members[0])

    def meet(self, meeting: Meeting) -> Member:
        """Join the customers of one event, in the order of evidence; what may not be joined is left out.

        Returns the identifier that speaks for the event.
        """
        strongest = self.speaker(meeting.members)
        base = self._side(strongest, meeting.at)
        touched = [base]
        for member in meeting.members:
            side = self._side(member, meeting.at)
            touched.append(side)
            if side is base or self._apart(member) or self._apart(strongest):
                continue
            refused = self.refusal(base, side, meeting.at)
            if refused:
                self._leave_out(meeting, strongest, member, refused)
                if refused[0] == TWO_USER_IDS and base.user is not None:
                    self._meet_user(member, side, base.user, meeting)
                    base = self._side(strongest)
            else:
                base = self._join(base, side, meeting, (strongest.via, member.via))
        for side in touched:
            side.born = True
        return strongest

    def refusal(self, one: Side, other: Side, at: datetime) -> tuple[str, str] | None:
        """Why two customers may not be joined by evidence (reason, name of the rule), or None."""
        for group in sorted(other.counts, key=lambda held: self.policy.rules[held].rank):
            rule = self.policy.rules[group]
            since = at - rule.window if rule.window and at > LONG_AGO + rule.window else None
            if group in one.counts and one.held(group, since) + other.held(group, since) > rule.limit:
                return (TWO_USER_IDS if group == USER_ID else LIMIT, group)
        for low, high in self.separations:
            if {self.sides[low].id, self.sides[high].id} == {one.id, other.id}:
                return (SEPARATED, "")
        moving = min(len(one.members), len(other.members))
        if self.policy.approve_from is not None and moving >= self.policy.approve_from and one.born and other.born:
            return (APPROVAL, "")
        return None

    def _apart(self, member: Member) -> bool:
        """Whether an identifier belongs to several people."""
        return member.shared or member.via in self.shared or not self.policy.rules[member.group].unique

    def _meet_user(self, member: Member, side: Side, user: UUID, meeting: Meeting) -> None:
        """Note that an identifier was seen beside one user id more; too many, and it is shared."""
        after = self.policy.rules[member.group].shared_after
        if member.kind == USER_ID or after is None:
            return
        met = self.met.setdefault(member.via, set())
        for one in (side.user, user):
            if one is not None and one not in met:
                met.add(one)
                self.met_now[member.via, one] = None
        if len(met) >= after:
            self.shared[member.via] = Parting(member.via, side.id, frozenset(met), meeting.event_id)
            self.part(member.via)

    def part(self, via: UUID) -> None:
        """Take an identifier out of its customer. If the customer bears its name, it takes its oldest one's."""
        side = self.sides[via]
        if len(side.members) == 1:
            return
        group, since = side.members.pop(via), side.since.pop(via, LONG_AGO)
        side.counts[group] -= 1
        if not side.counts[group]:
            del side.counts[group]
        if side.id == via:
            side.id = min(side.members)
        self.sides[via] = Side(via, {via: group}, since={via: since})

    def _side(self, member: Member, at: datetime = LONG_AGO) -> Side:
        side = self.sides.get(member.via)
        if side is None:
            since = {member.via: member.since if member.since > LONG_AGO else at}
            side = self.sides[member.via] = Side(member.via, {member.via: member.group}, born=False, since=since)
        return side

    def _join(self, base: Side, side: Side, meeting: Meeting, ends: tuple[UUID, UUID]) -> Side:
        if base.born and side.born:
            keep, give = survivor(base, side)
            union = Union(
                uuid7(), keep.id, give.id, list(keep.members), list(give.members), meeting.evidence(),
                meeting.event_id, live=meeting.live,
            )  # fmt: skip
            self.unions.append(union)
        else:  # a new identifier joins a customer; that is no merge
            keep, give, through = (side, base, ends[1]) if side.born else (base, side, ends[0])
            self.attachments.append(Attachment(tuple(give.members), meeting.event_id, through))
        self.unite(keep, give)
        return keep

    def unite(self, keep: Side, give: Side) -> None:
        """Move all members of one side to the other."""
        keep.members.update(give.members)
        keep.since.update(give.since)
        for group, count in give.counts.items():
            keep.counts[group] = keep.counts.get(group, 0) + count
        for via in give.members:
            self.sides[via] = keep

    def _leave_out(self, meeting: Meeting, strongest: Member, member: Member, refused: tuple[str, str]) -> None:
        reason, group = refused
        key = (member.via, strongest.via, reason)
        known = self.conflicts.get(key)
        if known is not None:
            known.count += 1
            known.last_event_id = meeting.event_id
        else:
            self.conflicts[key] = Conflict(
                reason, group or member.group, member.via, strongest.via, meeting.evidence(), meeting.event_id
            )


def survivor(one: Side, other: Side) -> tuple[Side, Side]:
    """Who keeps the name and who gives it up: whoever has a user_id stays, else the older."""
    if one.known_by_name != other.known_by_name:
        return (one, other) if one.known_by_name else (other, one)
    return (one, other) if one.id < other.id else (other, one)
