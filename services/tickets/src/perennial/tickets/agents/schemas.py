"""HTTP bodies of agents."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Whole, left_out
from perennial.tickets.texts import AgentId, Key, Label

Skills = Annotated[list[Key], Field(max_length=50)]
Capacity = Annotated[Whole, Field(ge=0, le=1000, description="Open tickets at a time.")]


class AgentIn(BaseModel):
    """A new agent."""

    model_config = ConfigDict(extra="forbid")

    id: AgentId
    name: Label
    team: Key | None = None
    skills: Skills = []
    capacity: Capacity = 10
    online: Flag = False


class AgentChange(BaseModel):
    """What of an agent is to change (RFC 7396 merge patch)."""

    model_config = ConfigDict(extra="forbid")

    name: Label = left_out()
    team: Key | None = None
    skills: Skills = left_out()
    capacity: Capacity = left_out()
    online: Flag = left_out()


class Presence(BaseModel):
    """Whether the agent takes tickets now."""

    model_config = ConfigDict(extra="forbid")

    online: Flag


class AgentOut(BaseModel):
    """An agent, with the tickets at hand."""

    id: str
    name: str
    team: str | None
    skills: list[str]
    capacity: int
    online: bool
    open: int
    version: int
