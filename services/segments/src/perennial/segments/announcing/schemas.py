"""HTTP bodies of announcements."""

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Instant


class AnnounceIn(BaseModel):
    """Which members are meant."""

    model_config = ConfigDict(extra="forbid")

    since: Instant | None = Field(default=None, description="Those alone who entered then or later; null: everybody.")
