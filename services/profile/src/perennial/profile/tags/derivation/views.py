"""What rules are asked about: a customer's row, and of the timeline only what some rule reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.common.rules import Occurrence, View
from perennial.profile.rows.drafts import Draft
from perennial.profile.tags.definitions.compiled import STAGE, TAGS, Reads
from perennial.profile.tags.derivation import queries


@dataclass(frozen=True, slots=True)
class Facts:
    """Of customers what stands in no row of theirs."""

    events: Mapping[UUID, Mapping[str, Sequence[Occurrence]]]
    segments: Mapping[UUID, set[UUID]]

    def of(self, draft: Draft) -> View:
        """A customer as far as it is derived; whoever derives more of it takes another view.

        Besides what is in the row, a rule can read `first_seen` and `last_seen`.
        """
        times = (("first_seen", draft.seen.first_seen), ("last_seen", draft.seen.last_seen))
        traits: dict[str, Any] = {name: at.isoformat() for name, at in times if at is not None}
        traits |= {**draft.traits, **draft.computed, TAGS: draft.tags, STAGE: draft.stage}
        return View(draft.id, traits, self.events[draft.id], self.segments[draft.id], {})


async def load(session: ReadSession, wanted: Mapping[UUID, Reads], every: Reads, now: datetime) -> Facts:
    """What the rules of each customer read; `every`: all that anybody's read."""
    events = await queries.events(session, wanted, every, now)
    return Facts(events, await queries.memberships(session, wanted, every.footprint.segments))
