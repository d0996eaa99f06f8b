"""A change of the map: its rows, its history, and what the other services are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import structlog

from perennial.common.contracts.identity import Assignment, CustomersMerged, IdentifiersAssigned, IdentifierShared
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.identity import queries
from perennial.identity.graph import Attachment, Member, Parting, Union
from perennial.identity.merges import queries as merges
from perennial.identity.queries import Change

log = structlog.get_logger()

ASSIGNMENTS = 1500  # in one fact: under half of the broker's 1 MiB


@dataclass(frozen=True)
class Reasons:
    """Why the map changed: under which version of the policy, and by what."""

    rule: int
    attachments: Sequence[Attachment] = ()
    unions: Sequence[Union] = ()
    partings: Sequence[Parting] = ()

    def by_identifier(self) -> "dict[UUID, Reason]":
        """The reason of each identifier; one that is new was attached, and merges of its customer name it."""
        found: dict[UUID, Reason] = {}
        for union in self.unions:
            for via in union.merged_vias:
                found[via] = Reason("merged", union.event_id, None, union.id)
        for attachment in self.attachments:
            for via in attachment.vias:
                found[via] = Reason("attached", attachment.event_id, attachment.through)
        for parting in self.partings:
            found[parting.via] = Reason("shared", parting.event_id)
        return found


class Reason(NamedTuple):
    """Cause, event, the identifier beside it, and the merge."""

    cause: str
    event_id: UUID | None = None
    through: UUID | None = None
    merge_id: UUID | None = None


RENAMED = Reason("renamed")


async def record(session: WriteSession, new: Sequence[Member], moved: Sequence[Member], reasons: Reasons) -> None:
    """Write new and moved rows of the map (as they will be) with their reasons, and emit the facts."""
    if new:
        await queries.add(session, new)
    before = await queries.resolve(session, [member.via for member in moved]) if moved else {}
    if moved:
        await queries.move(session, moved)
    if reasons.unions:
        await merges.add(session, reasons.unions, reasons.rule)
        log.info("customers.merged", merges=len(reasons.unions), identifiers=len(moved))
    known = reasons.by_identifier()
    moving = {member.via for member in moved}
    history = [
        Change(member.via, member.version, member.customer, before.get(member.via),
               *known.get(member.via, RENAMED), reasons.rule)
        for member in (*new, *moved)
        if member.via in known or member.via in moving
    ]  # fmt: skip
    if history:
        await queries.note(session, history)
    await tell(session, [*new, *moved])
    await emit(session, *[_merged(union) for union in reasons.unions if union.live], *_shared(reasons.partings))


def _shared(partings: Sequence[Parting]) -> list[IdentifierShared]:
    return [IdentifierShared(via=parting.via, customer=parting.customer, met=len(parting.met)) for parting in partings]


async def tell(session: WriteSession, members: Sequence[Member]) -> None:
    """Emit the new state of some identifiers."""
    assignments = [
        Assignment.model_construct(
            via=member.via, customer=member.customer, version=member.version, kind=member.kind,
            digest=member.digest.hex(),
        )
        for member in members
    ]  # fmt: skip
    facts = [
        IdentifiersAssigned(assignments=assignments[start : start + ASSIGNMENTS])
        for start in range(0, len(assignments), ASSIGNMENTS)
    ]
    await emit(session, *facts)


def _merged(union: Union) -> CustomersMerged:
    return CustomersMerged(merge_id=union.id, survivor=union.survivor, merged=union.merged, kind=union.kind)
