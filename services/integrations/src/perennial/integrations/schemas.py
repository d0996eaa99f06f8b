"""HTTP bodies of integrations."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

EventType = Annotated[str, StringConstraints(pattern=r"^[a-z]+(\.[a-z_]+)*(\.v\d+|\.\*)$", max_length=100)]
Url = Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern=r"^[!-~]+$")]
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]


class WebhookIn(BaseModel):
    """A new endpoint. `event_types` are subjects, or a prefix with `.*` for everything that happens below it."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    event_types: list[EventType] = Field(min_length=1, max_length=100)
    description: Line = ""
    personal: bool = Field(default=False, description="Include personal data; needs the scope webhooks:pii.")


class WebhookChange(BaseModel):
    """What of an endpoint is to change (RFC 7396 merge patch)."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    event_types: list[EventType] | None = Field(default=None, min_length=1, max_length=100)
    description: Line | None = None
    disabled: bool | None = None


class WebhookOut(BaseModel):
    """An endpoint; its secret is only ever shown when it is made."""

    id: UUID
    url: str
    event_types: list[str]
    description: str
    personal: bool
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
    """One request to the endpoint."""

    id: int
    message_id: UUID
    at: datetime
    status: int | None
    error: str | None
    latency_ms: int
    response: str


class MessageOut(BaseModel):
    """A message and where its delivery stands."""

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

    since: AwareDatetime

    @field_validator("since")
    @classmethod
    def _in_range(cls, since: datetime) -> datetime:
        try:
            return since.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("out of range") from error
