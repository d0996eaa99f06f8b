"""HTTP bodies of segments."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import left_out

Name = Annotated[str, Field(min_length=1, max_length=200)]


class SegmentIn(BaseModel):
    """A segment: a name and a rule of the platform's rule language."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    rule: dict[str, Any]


class SegmentChange(BaseModel):
    """What of a segment is to change (RFC 7396 merge patch)."""

    model_config = ConfigDict(extra="forbid")

    name: Name = left_out()
    rule: dict[str, Any] = left_out()


class SegmentOut(BaseModel):
    """A segment. `size` counts the members listed now; `as_of` is when the rule's version was first computed whole."""

    id: UUID
    name: str
    rule: dict[str, Any]
    sentence: str = Field(description="The rule in words.")
    state: str = Field(description="building (the version before still serves), live, failed or archived")
    error: str | None
    size: int
    version: int
    as_of: datetime | None
    created_at: datetime
    updated_at: datetime


class PreviewIn(BaseModel):
    """A rule to try out."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]


class PreviewOut(BaseModel):
    """How many customers a rule would hold for, and some of them."""

    count: int
    sample: list[UUID]
    sentence: str
    as_of: datetime


class MemberOut(BaseModel):
    """A member."""

    customer_id: UUID
    since: datetime


class Reason(BaseModel):
    """One node of a rule, asked about one customer."""

    pointer: str
    phrase: str
    holds: bool
    value: Any = None
    evidence: list[dict[str, Any]] = []
    next_change: datetime | None = None
    parts: list["Reason"] = []


class ExplainOut(BaseModel):
    """Why a customer is a member, or is not."""

    customer_id: UUID
    member: bool
    as_of: datetime
    reason: Reason
