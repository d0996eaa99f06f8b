"""What profile says of customers and of traits, for rules to ask."""

from perennial.common.contracts.profile import ComputedTraitsChanged, StagesChanged, TagsChanged, TraitsDefined
from perennial.common.db import WriteSession
from perennial.segments.facts import service
from perennial.segments.facts.queries import Defined, Said
from perennial.segments.facts.service import STAGE, TAGS


async def keep_tags(session: WriteSession, facts: list[TagsChanged]) -> None:
    """Keep the tags that customers show: the trait `tags`."""
    said = [
        Said(item.customer, TAGS, item.tags or None, item.version, fact.occurred_at)
        for fact in facts
        for item in fact.customers
    ]
    await service.keep(session, said, {item.customer for fact in facts for item in fact.customers if item.live})


async def keep_stages(session: WriteSession, facts: list[StagesChanged]) -> None:
    """Keep where customers stand in the life cycle: the trait `stage`."""
    said = [
        Said(item.customer, STAGE, item.stage, item.version, fact.occurred_at)
        for fact in facts
        for item in fact.customers
    ]
    await service.keep(session, said, {item.customer for fact in facts for item in fact.customers if item.live})


async def keep_computed(session: WriteSession, facts: list[ComputedTraitsChanged]) -> None:
    """Keep computed traits, each under its key."""
    said = [
        Said(item.customer, key, value, item.version, fact.occurred_at)
        for fact in facts
        for item in fact.customers
        for key, value in item.traits.items()
    ]
    await service.keep(session, said, {item.customer for fact in facts for item in fact.customers if item.live})


async def keep_definitions(session: WriteSession, facts: list[TraitsDefined]) -> None:
    """Keep what traits there are, and of which types."""
    await service.define(
        session,
        [
            Defined(item.key, item.computed, item.type, item.values, item.archived, item.version)
            for fact in facts
            for item in fact.traits
        ],
    )
