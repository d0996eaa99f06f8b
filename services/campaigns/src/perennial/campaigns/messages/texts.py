"""What the texts of messages were made of: the version that wrote them says so."""

from collections.abc import Sequence
from uuid import UUID

from perennial.campaigns.messages.models import Message
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.steps import MessageStep
from perennial.campaigns.plans.versions import plans
from perennial.campaigns.templates import Sources, sources
from perennial.common.db import ReadSession


async def made_of(session: ReadSession, messages: Sequence[Message]) -> dict[UUID, Sources]:
    """What each message's subject and body were made of, together."""
    found = await plans(session, {(message.journey_id, message.version) for message in messages})
    return {message.id: _of_step(found[message.journey_id, message.version], message.step) for message in messages}


def _of_step(plan: Plan, name: str) -> Sources:
    step = plan.steps[name]
    assert isinstance(step, MessageStep)  # noqa: S101 (a version never changes)
    return sources(step.subject) | sources(step.body)
