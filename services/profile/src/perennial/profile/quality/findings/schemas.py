"""HTTP bodies of findings."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

State = Literal["open", "released", "gone"]


class FindingOut(BaseModel):
    """One statement that a rule caught, or a trait that too few customers of a source show."""

    id: UUID
    rule: UUID
    rule_name: str
    kind: str
    action: str
    key: str
    source: str
    via: UUID | None = Field(description="The identifier under which it was said; null: the source as a whole.")
    customer: UUID | None
    value: Any = Field(description="What was said, masked as the trait is for you; of a missing trait its fill rate.")
    taken: Any = Field(description="What was taken in its place.")
    at: datetime = Field(description="When it was said.")
    state: State = Field(description="released: undone by somebody; gone: it is so no more.")
    found_at: datetime
    ended_at: datetime | None
