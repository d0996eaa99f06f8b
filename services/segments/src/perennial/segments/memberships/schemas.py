"""HTTP bodies of memberships."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from perennial.common.web import Page
from perennial.common.web.reasons import Reason


class MemberOut(BaseModel):
    """A member, under the customer's id; one who was merged into another meanwhile answers under the old id as well."""

    customer_id: UUID
    since: datetime


class MembersOut(Page[MemberOut]):
    """Members. Everything heard before `as_of` is in the list, which is null while nothing serves."""

    as_of: datetime | None


class InSegment(BaseModel):
    """A segment that a customer is in."""

    segment_id: UUID
    name: str
    since: datetime


class InSegments(Page[InSegment]):
    """The segments that a customer is in. Everything heard before `as_of` is in the list."""

    customer_id: UUID
    as_of: datetime


class Change(BaseModel):
    """An entry or an exit, under the id that the customer bore then."""

    segment_id: UUID
    name: str
    customer_id: UUID
    entered: bool
    at: datetime


class Changes(Page[Change]):
    """Entries and exits, complete since that instant; where it is null, from the beginning."""

    complete_since: datetime | None


class ExplainOut(BaseModel):
    """Why a customer is a member, or is not. The reason is that of the version that serves, or of a draft."""

    customer_id: UUID
    member: bool
    version: int
    as_of: datetime = Field(description="When the reason was looked for.")
    reason: Reason
