"""HTTP bodies of API keys and customer tokens."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Scope = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z_-]{0,39}:(\*|[a-z][a-z_-]{0,39}))$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


def _in_range(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from error


Instant = Annotated[AwareDatetime, AfterValidator(_in_range)]

MIN_TTL, DEFAULT_TTL, MAX_TTL = 60, 3600, 86_400


class NewApiKey(BaseModel):
    """A key for a partner or a back end."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: list[Scope] = Field(min_length=1, max_length=50, description="`resource:action`, `resource:*` or `*`.")
    expires_at: Instant | None = None


class ApiKeyOut(BaseModel):
    """An API key as it may be shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class IssuedApiKey(ApiKeyOut):
    """A new API key with its text, shown this once."""

    key: str


class NewCustomerToken(BaseModel):
    """A token for one customer's own routes."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID
    ttl_seconds: int = Field(default=DEFAULT_TTL, ge=MIN_TTL, le=MAX_TTL)


class CustomerToken(BaseModel):
    """A JWT that the customer's app sends as `Authorization: Bearer`."""

    token: str
    expires_at: datetime
