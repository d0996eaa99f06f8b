"""HTTP bodies of tickets."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Whole
from perennial.tickets.texts import AgentId, Key, Prose, Subject
from perennial.tickets.types.definition import Priority

Fields = Annotated[dict[str, Any], Field(max_length=50, description="What the type's form asks for.")]


class MyTicketIn(BaseModel):
    """A customer's own request."""

    model_config = ConfigDict(extra="forbid")

    type: Key
    subject: Subject
    description: Prose
    fields: Fields = {}


class TicketIn(MyTicketIn):
    """A request on behalf of a customer."""

    customer_id: UUID
    priority: Priority | None = None


class Transition(BaseModel):
    """To which stage, and why."""

    model_config = ConfigDict(extra="forbid")

    to: Key
    note: Prose | None = None
    resolution: Prose | None = Field(default=None, description="How it ended, for a stage that ends it.")


class Assign(BaseModel):
    """To whom; null lets the rules decide again for a ticket that nobody has."""

    model_config = ConfigDict(extra="forbid")

    assignee: AgentId | None
    over_capacity: Flag = False


class Close(BaseModel):
    """How it ended."""

    model_config = ConfigDict(extra="forbid")

    resolution: Prose


class Rating(BaseModel):
    """How content the customer is."""

    model_config = ConfigDict(extra="forbid")

    score: Whole = Field(ge=1, le=5)
    comment: Prose | None = None


class MyComment(BaseModel):
    """What the customer adds."""

    model_config = ConfigDict(extra="forbid")

    text: Prose


class CommentIn(MyComment):
    """What staff add; the customer sees public ones."""

    public: Flag = True


class RatingOut(BaseModel):
    """A score from 1 to 5."""

    score: int
    comment: str | None
    at: datetime


class ClockOut(BaseModel):
    """A promise: minutes of working time; `due_at` is null while the clock rests."""

    target: str
    minutes: int
    due_at: datetime | None
    met_at: datetime | None
    breached_at: datetime | None


class MyTicketOut(BaseModel):
    """A ticket, as its customer sees it."""

    id: UUID
    number: int
    type: str
    subject: str
    description: str
    stage: str
    open: bool
    fields: dict[str, Any]
    opened_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    resolution: str | None
    rating: RatingOut | None
    version: int


class TicketOut(MyTicketOut):
    """A ticket, as staff see it. `customer_id` is today's; `via` stays.

    Texts are hidden from whoever does not see personal fields, addresses and phones in them masked; the form's fields
    are shown by their `sensitivity`.
    """

    customer_id: UUID
    via: UUID
    type_version: int
    priority: str
    team: str | None
    assignee: str | None
    dispatch_reason: str | None
    opened_by: str
    first_response_at: datetime | None
    first_response_due_at: datetime | None
    resolution_due_at: datetime | None
    breached: bool
    sla: list[ClockOut]


class MyHistoryOut(BaseModel):
    """Something that happened to the customer's ticket."""

    id: int
    at: datetime
    kind: str
    detail: dict[str, Any]


class HistoryOut(MyHistoryOut):
    """Something that happened to a ticket, and who did it."""

    actor: str
    public: bool


class RevealedOut(TicketOut):
    """A ticket in clear, with the first thousand lines of its history."""

    events: list[HistoryOut]


class SummaryOut(BaseModel):
    """All tickets together; `by_state` counts them by stage, `csat` is the mean score as a decimal."""

    by_state: dict[str, int]
    total: int
    open: int
    unassigned: int
    breached: int
    rated: int
    csat: str | None
