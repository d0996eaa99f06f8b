"""The base of every fact, and the marks its fields can bear."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.ids import uuid7


def utc_now() -> datetime:
    """The current instant, with its zone."""
    return datetime.now(UTC)


Mark = Literal["traits", "text", "prose", "reference", "sensitive"]


def personal(mark: Mark, **extra: Any) -> Any:
    """A field that holds personal data, and of which form; the mark is in the JSON Schema.

    traits      values by the traits' names, each of its own class
    text        what somebody said: hidden from whoever does not see personal fields
    prose       a short text that should name nobody: addresses and numbers inside it are masked
    reference   opaque, unless it is an e-mail address or a phone
    sensitive   left out for whoever does not see sensitive fields
    """
    return Field(json_schema_extra={"x-personal": mark}, **extra)


class Part(BaseModel):
    """A nested piece of a fact."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(BaseModel):
    """A fact. It becomes a CloudEvent: `id`, `occurred_at` and the subject are repeated in its headers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]
    state: ClassVar[bool] = False
    """Whether it says how things stand, for services that keep a copy, rather than that something happened."""

    id: UUID = Field(default_factory=uuid7, description="Unique for ever; a repeat bears the same id.")
    occurred_at: datetime = Field(default_factory=utc_now)

    @classmethod
    def producer(cls) -> str:
        """The service that says this."""
        return cls.subject.split(".", 1)[0]

    @classmethod
    def noun(cls) -> str:
        """What the fact is about: the second token of the subject."""
        return cls.subject.split(".")[1]


Via = Annotated[UUID, Field(description="The identifier that speaks for the customer; facts stay under it for ever.")]
CustomerId = Annotated[UUID, Field(description="The customer at the time of the event; ask the map for today's.")]
Version = Annotated[int, Field(ge=0, description="The state's version: an older one is ignored.")]


class ErasedTable(Part):
    """What became of a person's rows in one table."""

    table: str
    erased: int = Field(ge=0, description="Rows deleted, or emptied of whatever tells of the person.")
    kept: int = Field(default=0, ge=0, description="Rows that stay, without the person.")
    because: str | None = Field(default=None, description="Why rows stay.")


class ErasureReceipt(Event):
    """A service has forgotten a person; each service says it by a contract of its own."""

    state: ClassVar[bool] = True

    erasure_id: UUID
    customer: UUID
    tables: list[ErasedTable]


class IntakeCount(Part):
    """How many events of a source had an outcome in an hour: all of them so far, so the highest count wins."""

    source: str
    hour: datetime = Field(description="Its first instant; of what is counted by the day (UTC), the day's.")
    outcome: str = Field(description="A word, and perhaps a reason behind a colon.")
    count: int = Field(ge=0)


class IntakeGauge(Part):
    """How much of a source there is at the moment; what was said last holds."""

    source: str
    name: str
    value: int = Field(ge=0)


class IntakeState(Event):
    """What becomes of events on their way in; each service that lets them in says it by a contract of its own."""

    state: ClassVar[bool] = True

    counts: list[IntakeCount]
    waiting: list[IntakeGauge] = []


class RuleState(Part):
    """A rule of a service that asks for members of segments, or could: which ones, by all that is in force of it."""

    kind: str = Field(description="What it is in its service, such as journey.")
    id: str
    name: str
    state: str = Field(description="A word of its service.")
    segments: list[UUID] = Field(description="Empty: it asks for none, or none any more.")
    version: Version


class RulesState(Event):
    """Which segments a service's rules ask for; each service says it by a contract of its own.

    Rules that are new or another, and all of them once a day. Of a rule the highest version wins, then what was said
    last.
    """

    state: ClassVar[bool] = True

    rules: list[RuleState]
