"""HTTP bodies of integrations."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.masks import snake
from perennial.common.web.fields import Flag, Instant, left_out

EventType = Annotated[str, StringConstraints(pattern=r"^[a-z]+(\.[a-z_]+)*(\.v\d+|\.\*)$", max_length=100)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100)]
Url = Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern=r"^[!-~]+$")]
Seen = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z][A-Za-z0-9_ -]{0,99})$")]
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
SEEN = (
    "What the endpoint gets in clear besides public fields: names of fields, `personal`, `sensitive`, or `*`. "
    "Never more than you see yourself; needs the scope webhooks:pii."
)


def _spelled(fields: list[str]) -> list[str]:
    return sorted({snake(name) for name in fields})


Fields = Annotated[list[Seen], Field(max_length=50), AfterValidator(_spelled)]


class WebhookIn(BaseModel):
    """A new endpoint. `event_types` are subjects, or a prefix with `.*` for everything that happens below it."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    event_types: EventTypes
    description: Line = ""
    fields: Fields = Field(default=[], description=SEEN)


class WebhookChange(BaseModel):
    """What of an endpoint is to change (RFC 7396 merge patch)."""

    model_config = ConfigDict(extra="forbid")

    url: Url = left_out()
    event_types: EventTypes = left_out()
    description: Line = left_out()
    fields: Fields = left_out(SEEN)
    disabled: Flag = left_out()


class WebhookOut(BaseModel):
    """An endpoint; its secret is only ever shown when it is made."""

    id: UUID
    url: str
    event_types: list[str]
    description: str
    fields: list[str]
    disabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    version: int
    created_at: datetime


class WebhookMade(WebhookOut):
    """A new endpoint with its secret."""

    secret: str


class SecretOut(BaseModel):
    """A new secret; the old one signs beside it until `previous_expires_at`."""

    secret: str
    previous_expires_at: datetime


class AttemptOut(BaseModel):
    """One request to the endpoint. What it answered is hidden from whoever sees less than it was shown."""

    id: int
    message_id: UUID
    at: datetime
    status: int | None
    error: str | None
    latency_ms: int
    response: str


class MessageOut(BaseModel):
    """A message, as far as both endpoint and reader may see it, and where its delivery stands."""

    id: UUID
    type: str
    state: str
    attempts: int
    next_at: datetime
    created_at: datetime
    body: dict[str, Any]


class Queued(BaseModel):
    """How many deliveries were queued."""

    queued: int


class Recover(BaseModel):
    """Send again what failed since an instant."""

    model_config = ConfigDict(extra="forbid")

    since: Instant
