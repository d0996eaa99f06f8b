"""HTTP bodies of dispatch rules."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Whole
from perennial.tickets.texts import Key, Label


class DispatchRuleIn(BaseModel):
    """A rule over the ticket's `type`, `priority`, `subject`, `description`, `fields.<name>`, the customer's `tier`.

    Segments by `{"segment": id}`. Tickets for which it holds need somebody of `team` who has all `skills`.
    """

    model_config = ConfigDict(extra="forbid")

    name: Label
    rule: dict[str, Any]
    team: Key | None = None
    skills: Annotated[list[Key], Field(max_length=50)] = []
    position: Whole | None = Field(default=None, ge=0, le=1_000_000, description="Lower ones are asked first.")
    enabled: Flag = True


class DispatchRuleOut(BaseModel):
    """A rule."""

    id: UUID
    position: int
    name: str
    rule: dict[str, Any]
    team: str | None
    skills: list[str]
    enabled: bool
    version: int
