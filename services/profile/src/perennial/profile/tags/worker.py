"""What tags and stages hear: what customers say, and who is in a segment that a rule reads."""

from collections.abc import Sequence

from perennial.common import identity_map
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.segments import MembershipsChanged
from perennial.common.db import WriteSession
from perennial.common.derive import mark
from perennial.profile.imported import service as imported
from perennial.profile.stages import derivation as stages
from perennial.profile.tags.definitions import compiled, queries
from perennial.profile.tags.words import service as words
from perennial.profile.timeline.service import name_of


async def note_words(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Remember who said something, and which tags a file gives; other events cost a look at their names."""
    await imported.record(session, events)
    await words.note(
        session,
        [
            (event.id, event.via, event.timestamp, said[0], event.live)
            for event in events
            if event.type == "track" and (said := words.TEXTS.get(name_of(event) or ""))
        ],
    )


async def follow_segments(session: WriteSession, facts: Sequence[MembershipsChanged]) -> None:
    """Have the members derived again where it matters: state says nothing of what was live."""
    read = set(compiled.serving(await queries.serving(session)).reads.footprint.segments)
    ladder = await stages.in_use(session)
    read |= ladder.reads.footprint.segments if ladder else set()
    said = {item.customer for fact in facts for item in fact.memberships if item.segment_id in read}
    owners = await identity_map.customers_of(session, said)
    await mark(session, set(owners.values()), live=False)
