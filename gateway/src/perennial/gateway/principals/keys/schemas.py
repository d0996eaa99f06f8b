"""HTTP bodies of API keys."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Instant, Whole
from perennial.gateway.principals.shapes import Scope, SeenFields
from perennial.gateway.shapes import Name

MOST_A_MINUTE = 1_000_000


class NewApiKey(BaseModel):
    """A key for a partner or a back end."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: list[Scope] = Field(min_length=1, max_length=50, description="`resource:action`, `resource:*` or `*`.")
    fields: SeenFields = []
    rate_limit: Whole | None = Field(
        default=None, ge=1, le=MOST_A_MINUTE, description="Requests per minute; null: as for everybody."
    )
    expires_at: Instant | None = None


class Rotation(BaseModel):
    """How long the text before the new one is still good."""

    model_config = ConfigDict(extra="forbid")

    previous_until: Instant | None = Field(
        default=None, description="At most 7 days ahead; null: it ends now. The text before that one ends in any case."
    )


class ApiKeyOut(BaseModel):
    """An API key as it may be shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    prefix: str
    scopes: list[str]
    fields: list[str]
    rate_limit: int | None
    created_at: datetime
    expires_at: datetime | None
    previous_until: datetime | None = Field(description="Until when the text before the last rotation is good.")
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class IssuedApiKey(ApiKeyOut):
    """A new API key with its text, shown this once."""

    key: str
