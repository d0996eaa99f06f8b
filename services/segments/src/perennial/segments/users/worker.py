"""What other services say of their rules."""

from collections.abc import Sequence

from perennial.common.contracts import campaigns, profile, tickets
from perennial.common.contracts.base import RulesState
from perennial.common.db import WriteSession
from perennial.common.messaging import on
from perennial.segments.users import queries
from perennial.segments.users.queries import Said


async def keep(session: WriteSession, facts: Sequence[RulesState]) -> None:
    """Keep which segments rules ask for."""
    said = [
        Said(
            fact.producer(), item.kind, item.id, item.name, item.state, item.segments, item.version, fact.occurred_at
        )
        for fact in facts
        for item in fact.rules
    ]  # fmt: skip
    await queries.keep(session, said)


REACTIONS = (on(campaigns.RulesChanged, keep), on(tickets.RulesChanged, keep), on(profile.RulesChanged, keep))
