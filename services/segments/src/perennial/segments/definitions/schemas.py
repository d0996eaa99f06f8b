"""HTTP bodies of segments."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, left_out

Name = Annotated[str, Field(min_length=1, max_length=200)]
Kind = Literal["rule", "list"]
MARGIN = "`count` is off by this at most, at 95 %; 0: it is exact."


class SegmentIn(BaseModel):
    """A segment: a name and a rule of the platform's rule language, or a list whose members are named one by one."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    kind: Kind = "rule"
    rule: dict[str, Any] = left_out("Of a segment by rule; a list has none.")
    draft: Flag = Field(default=False, description="Kept, and built only when it is published.")


class SegmentReplacement(BaseModel):
    """The whole of what a segment can be changed to."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    rule: dict[str, Any]
    draft: Flag = left_out("Left out: a draft stays one, and what serves is replaced when the new version is built.")


class SegmentChange(BaseModel):
    """What of a segment is to change (RFC 7396 merge patch)."""

    model_config = ConfigDict(extra="forbid")

    name: Name = left_out()
    rule: dict[str, Any] = left_out()
    draft: Flag = left_out("Left out: a draft stays one, and what serves is replaced when the new version is built.")


class Progress(BaseModel):
    """How far a build is: memberships changed, of so many; null until they are counted."""

    done: int
    total: int | None


class SegmentOut(BaseModel):
    """A segment. `size` counts the members listed now, and everything heard before `as_of` is in it."""

    id: UUID
    name: str
    kind: str = Field(description="rule or list")
    rule: dict[str, Any] | None
    sentence: str | None = Field(description="The rule in words.")
    state: str = Field(description="draft, building, live, failed or archived: of the newest version")
    error: str | None
    size: int
    version: int
    serving_version: int | None = Field(description="The version by which members are kept up to date; null: none yet.")
    as_of: datetime | None = Field(description="Null while nothing serves.")
    built_at: datetime | None = Field(description="When the version that serves was computed whole.")
    operation_id: UUID | None = Field(description="The backfill of the newest version, among the operations.")
    progress: Progress | None = None
    events_since: datetime | None = Field(
        description="Events before it are kept no longer, and the rule looks further back than that; null: it does not."
    )
    created_at: datetime
    updated_at: datetime


class VersionOut(BaseModel):
    """A version of a segment, as it was defined."""

    version: int
    name: str
    rule: dict[str, Any] | None
    sentence: str | None
    by: str
    at: datetime
    restored: int | None = Field(description="The version that this one repeats.")


class SegmentName(BaseModel):
    """A segment among others."""

    id: UUID
    name: str
    state: str


class UserOut(BaseModel):
    """A rule of another service that asks for the segment."""

    service: str
    kind: str = Field(description="journey, dispatch_rule, tag or ladder")
    id: str
    name: str
    state: str = Field(description="A word of that service, such as draft, published or paused of a journey.")


class DependenciesOut(BaseModel):
    """What a segment asks, and who asks it."""

    segments: list[SegmentName]
    traits: list[str]
    events: list[str]
    used_by: list[SegmentName]
    used_elsewhere: list[UserOut] = Field(description="As far as the other services have said by now.")


class PreviewIn(BaseModel):
    """A rule to try out."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]
    exact: Flag = Field(
        default=False,
        description="Count everybody, which is refused only after 15 s. Otherwise what takes more than a second or so"
        " of 250,000 identifiers and more is estimated from a part of the customers.",
    )


class LeafOut(BaseModel):
    """One condition of the rule by itself; `count` is null where there was no time to count."""

    pointer: str
    phrase: str
    count: int | None
    margin: int | None = Field(description=MARGIN)


class OverlapOut(BaseModel):
    """How many of those whom the rule holds for are in another segment."""

    segment_id: UUID
    name: str
    count: int = Field(description="Of those whom the rule holds for.")
    margin: int = Field(description=MARGIN)
    size: int = Field(description="The members of the segment.")
    size_margin: int = Field(description="By how much `size` is off at most, at 95 %; 0 where they were counted.")


class PreviewOut(BaseModel):
    """How many customers a rule would hold for, some of them, and where they are already."""

    count: int
    margin: int = Field(description=MARGIN)
    exact: bool = Field(description="False: `count` is estimated from a part of the customers.")
    sample: list[UUID]
    sentence: str
    leaves: list[LeafOut]
    overlaps: list[OverlapOut] = Field(description="The largest, at most 20.")
    estimated: bool = Field(description="The counts of overlaps are estimated from 10,000 of those it holds for.")
    unheard: list[str] = Field(description="Events of the rule that nobody has ever sent: perhaps they are misspelt.")
    events_since: datetime | None = Field(
        description="Events before it are kept no longer, and the rule looks further back than that; null: it does not."
    )
    as_of: datetime
