"""What rules are asked about: a customer's row, and of the timeline only what some rule reads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.common.rules import View
from perennial.profile.rows.drafts import Draft
from perennial.profile.tags.definitions.compiled import STAGE, TAGS, Reads
from perennial.profile.tags.derivation import queries


async def load(
    session: ReadSession, drafts: Mapping[UUID, Draft], reads: Reads, now: datetime
) -> dict[UUID, tuple[View, dict[str, Any]]]:
    """A view of each customer, and its traits: whoever derives tags or the stage writes them in.

    Besides what is in the row, a rule can read `first_seen` and `last_seen`.
    """
    customers = list(drafts)
    events = await queries.events(session, customers, reads, now)
    segments = await queries.memberships(session, customers, reads)
    seen = await queries.seen(session, customers)
    found = {}
    for customer, draft in drafts.items():
        traits = {**seen.get(customer, {}), **draft.traits, **draft.computed, TAGS: draft.tags, STAGE: draft.stage}
        found[customer] = View(customer, traits, events[customer], segments[customer]), traits
    return found
