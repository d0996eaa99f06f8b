"""What profile says: a customer's traits changed."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, Part, RulesState, Version, Via, personal


class TraitsChanged(Event):
    """A live event changed traits of a customer; a value of null cleared the trait."""

    subject: ClassVar[str] = "profile.traits.changed.v1"

    via: Via
    customer: CustomerId
    traits: dict[str, Any] = personal("traits", description="Only the traits that changed.")


class TraitDefinition(Part):
    """What is known of a trait: that there is one, and of which type its values are."""

    key: str
    type: str = Field(
        description="string, number, boolean, date, datetime, enum, list, object, money, geo; any: of several types."
    )
    values: list[str] = Field(default=[], description="Of an enum.")
    computed: bool = Field(default=False, description="Profile works it out; a key has one version for each of both.")
    archived: bool = Field(default=False, description="It is defined no more.")
    version: Version


class TraitsDefined(Event):
    """State for whoever asks about traits: definitions that are new or another, all of them when profile starts."""

    subject: ClassVar[str] = "profile.traits.defined.v1"
    state: ClassVar[bool] = True

    traits: list[TraitDefinition]


class ErasureCompleted(ErasureReceipt):
    """What profile held about a person is erased."""

    subject: ClassVar[str] = "profile.erasure.completed.v1"


class ErasureRequested(Event):
    """A customer is to be erased everywhere: identity says whose identifiers that means."""

    subject: ClassVar[str] = "profile.erasure.requested.v1"
    state: ClassVar[bool] = True

    erasure_id: UUID
    customer: UUID


class CustomerTags(Part):
    """The tags that one customer shows, and what is new about them."""

    customer: CustomerId
    version: Version
    tags: list[str]
    added: list[str] = Field(default=[])
    removed: list[str] = Field(default=[])
    live: bool = Field(default=False, description="Something live was the cause, so messages may follow.")


class TagsChanged(Event):
    """State for whoever keeps a copy of tags; live or not. A customer who was merged into another shows none."""

    subject: ClassVar[str] = "profile.tags.changed.v1"
    state: ClassVar[bool] = True

    customers: list[CustomerTags]


class CustomerStage(Part):
    """Where one customer stands in the life cycle; null: on no stage of the ladder in use."""

    customer: CustomerId
    ladder: str
    stage: str | None
    since: datetime
    version: Version
    live: bool = Field(default=False, description="Something live was the cause, so messages may follow.")


class StagesChanged(Event):
    """State for whoever keeps a copy of stages; live or not."""

    subject: ClassVar[str] = "profile.stages.changed.v1"
    state: ClassVar[bool] = True

    customers: list[CustomerStage]


class StageChanged(Event):
    """A live event or the clock brought a customer to another stage of the life cycle."""

    subject: ClassVar[str] = "profile.stage.changed.v1"

    customer: CustomerId
    ladder: str
    stage: str | None
    previous: str | None
    version: Version


class ComputedTraits(Part):
    """What is new of the computed traits of one customer; null: there is no value any more.

    The version is that of each of these values: per customer and trait the highest wins.
    """

    customer: CustomerId
    version: Version
    traits: dict[str, Any] = personal("traits", description="Only the values that changed.")
    live: bool = Field(default=False, description="Something live was the cause, so messages may follow.")


class ComputedTraitsChanged(Event):
    """State for whoever keeps a copy of computed traits; live or not, and also when only the clock went on."""

    subject: ClassVar[str] = "profile.computed_traits.changed.v1"
    state: ClassVar[bool] = True

    customers: list[ComputedTraits]


class ConsentStatement(Part):
    """The newest that was said under one identifier about a purpose and a channel."""

    via: Via
    purpose: str
    channel: str = Field(description="`*`: every channel.")
    state: str = Field(description="given or withdrawn")
    at: datetime
    expires_at: datetime | None = Field(default=None, description="From then on a consent holds no more.")
    version: Version


class ConsentsChanged(Event):
    """State for whoever must obey: the newest statement of a customer's identifiers wins.

    `version` grows with the time of the statement; of two at the same instant the withdrawal has the higher one.
    """

    subject: ClassVar[str] = "profile.consents.changed.v1"
    state: ClassVar[bool] = True

    statements: list[ConsentStatement]


class QualityThresholdCrossed(Event):
    """A measure of data quality has passed a limit that a rule sets: once when it does, once when it is well again."""

    subject: ClassVar[str] = "profile.quality.threshold_crossed.v1"

    rule: UUID
    measure: str = Field(
        description="fill, validity, freshness, uniqueness, late, duplicates, rejected, quarantine, score"
    )
    source: str
    trait: str | None = Field(default=None, description="Null: a measure of the whole source.")
    value: float
    limit: float
    crossed: bool = Field(description="False: it has recovered.")


class RulesChanged(RulesState):
    """Tags and ladders that are new or another, and the segments that they ask for."""

    subject: ClassVar[str] = "profile.rules.changed.v1"
