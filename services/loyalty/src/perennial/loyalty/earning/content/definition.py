"""Which events tell of content, and who decides about it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.commerce import ORDER_COMPLETED
from perennial.loyalty.earning.definition import EventName, Property

Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
State = Literal["waiting", "approved", "rejected", "removed"]


class ContentRule(BaseModel):
    """One kind of content. What it earns is said by earn rules about `event`, which wait until it is approved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    event: EventName
    key: Property = Field(default="id", description="The property that names the content, in all these events.")
    text: Property | None = Field(default=None, description="The property with the words, for whoever moderates.")
    media: Property | None = Field(default=None, description="The property with the pictures' addresses.")
    subject: Property | None = Field(default=None, description="The property that says what it is about.")
    moderation: Literal["staff", "none"] = Field(
        default="staff", description="Without moderation it is approved as it comes; it can still be removed."
    )
    approved_by: EventName | None = Field(default=None, description="The event by which the shop approves it itself.")
    rejected_by: EventName | None = None
    removed_by: EventName | None = None

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        named = [name for name in (self.event, self.approved_by, self.rejected_by, self.removed_by) if name]
        if len(set(named)) < len(named):
            raise ValueError("events must differ from each other")
        if ORDER_COMPLETED in named:
            raise ValueError(f"event: {ORDER_COMPLETED} tells of no content")
        return self

    @property
    def decisions(self) -> dict[str, State]:
        """What events decide."""
        by: tuple[tuple[str | None, State], ...] = (
            (self.approved_by, "approved"), (self.rejected_by, "rejected"), (self.removed_by, "removed"),
        )  # fmt: skip
        return {name: state for name, state in by if name is not None}
