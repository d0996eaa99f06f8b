"""A change of the map: its rows, its history, and what the other services are told."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from perennial.common.contracts.identity import Assignment, CustomersMerged, IdentifiersAssigned
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.identity import queries
from perennial.identity.decisions.graph import RULE, Attachment, Member, Union
from perennial.identity.merges import queries as merges
from perennial.identity.queries import Change

log = structlog.get_logger()

ASSIGNMENTS = 1500  # in one fact: under half of the broker's 1 MiB


async def record(
    session: WriteSession,
    new: Sequence[Member],
    moved: Sequence[Member],
    attachments: Sequence[Attachment] = (),
    unions: Sequence[Union] = (),
) -> None:
    """Write new and moved rows of the map (as they will be) with their reasons, and emit the facts."""
    if new:
        await queries.add(session, new)
    if moved:
        await queries.move(session, moved)
    if unions:
        await merges.add(session, unions)
        log.info("customers.merged", merges=len(unions), identifiers=len(moved))
    before = {via: union.merged for union in reversed(unions) for via in union.merged_vias}
    reasons = _reasons(attachments, unions)
    history = [
        Change(member.via, member.version, member.customer, before.get(member.via), *reasons[member.via], RULE)
        for member in (*new, *moved)
        if member.via in reasons
    ]
    if history:
        await queries.note(session, history)
    await tell(session, [*new, *moved])
    live = [union for union in unions if union.live]
    await emit(session, *[_merged(union) for union in live])


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


def _reasons(
    attachments: Sequence[Attachment], unions: Sequence[Union]
) -> Mapping[UUID, tuple[str, UUID | None, UUID | None, UUID | None]]:
    """Cause, event, identifier beside it, and merge, by identifier; the last reason stands."""
    reasons: dict[UUID, tuple[str, UUID | None, UUID | None, UUID | None]] = {}
    for attachment in attachments:
        for via in attachment.vias:
            reasons[via] = ("attached", attachment.event_id, attachment.through, None)
    for union in unions:
        for via in union.merged_vias:
            reasons[via] = ("merged", union.event_id, None, union.id)
    return reasons
