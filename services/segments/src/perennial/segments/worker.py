"""What segments hears."""

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.profile import ComputedTraitsChanged, StagesChanged, TagsChanged, TraitsDefined
from perennial.common.messaging import on
from perennial.segments.facts import service as facts
from perennial.segments.facts import worker as profile
from perennial.segments.users import worker as users

REACTIONS = (
    on(ResolvedEvent, facts.record),
    on(TagsChanged, profile.keep_tags),
    on(StagesChanged, profile.keep_stages),
    on(ComputedTraitsChanged, profile.keep_computed),
    on(TraitsDefined, profile.keep_definitions),
    *users.REACTIONS,
)
