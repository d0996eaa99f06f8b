"""HTTP bodies of edits by hand."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.params import Word
from perennial.profile.traits.definitions.kinds import Strategy

Name = Annotated[Word, Field(min_length=1, max_length=200)]
Fate = Literal["shown", "counted", "cleared", "older", "later", "shorter", "less_trusted", "unfit"]


class TraitsEdit(BaseModel):
    """What staff write of a customer, and why."""

    model_config = ConfigDict(extra="forbid")

    traits: dict[Name, Any] = Field(
        default_factory=dict, max_length=100,
        description="By key, in any spelling; null clears. Only what is defined, by its definition.",
        examples=[{"city": "Paris"}],
    )  # fmt: skip
    give_back: list[Name] = Field(
        default_factory=list, max_length=100, description="What was written by hand is withdrawn: sources speak again."
    )
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = Field(
        examples=["told us on the phone"]
    )


class Edited(BaseModel):
    """What an edit did to one trait."""

    shown: bool = Field(description="Whether customers' pages show what was written; a more trusted source may stand.")


class TraitsEdited(BaseModel):
    """An edit. `id` is today's customer."""

    id: UUID
    at: datetime
    traits: dict[str, Edited]


class Statement(BaseModel):
    """What one source says of a trait under one identifier."""

    via: UUID
    source: str
    value: Any = Field(description="Null: it cleared the trait.")
    at: datetime
    fate: Fate = Field(description="Shown, counted into what is shown, or why not.")


class TraitExplained(BaseModel):
    """A trait of a customer: what is shown, and of what."""

    id: UUID
    key: str
    strategy: Strategy
    value: Any
    statements: list[Statement]

    def seen_by(self, who: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        seen = [
            one.model_copy(
                update={"value": masks.trait(who, self.key, one.value), "source": masks.text(who, one.source)}
            )
            for one in self.statements
        ]
        key = masks.text(who, self.key)
        return self.model_copy(update={"key": key, "value": masks.trait(who, self.key, self.value), "statements": seen})


class TraitEdit(BaseModel):
    """One edit by hand: who, why, when, and what it took the place of."""

    id: UUID
    via: UUID
    key: str
    value: Any
    before: Any
    given_back: bool
    reason: str
    by: str
    at: datetime

    def seen_by(self, who: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        shown = {name: masks.trait(who, self.key, getattr(self, name)) for name in ("value", "before")}
        return self.model_copy(
            update={**shown, "reason": masks.text(who, self.reason), "key": masks.text(who, self.key)}
        )
