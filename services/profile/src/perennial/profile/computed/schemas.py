"""HTTP bodies of computed traits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.profile.computed.spec import Spec

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=100)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class Labels(BaseModel):
    """What people call it."""

    model_config = ConfigDict(extra="forbid")

    en: Label
    zh: Label | None = None


class ComputedIn(Spec):
    """A computed trait: its key among a customer's traits, and what it is computed from."""

    key: Key
    label: Labels

    def labels(self) -> dict[str, str]:
        """By language."""
        return self.label.model_dump(exclude_none=True)

    def spec(self) -> Spec:
        """What is computed."""
        return Spec.model_validate(self.model_dump(exclude={"key", "label"}))


class ComputedOut(BaseModel):
    """A definition."""

    key: str
    label: Labels
    definition: dict[str, Any] = Field(description="Function, source and so on; what has its default is left out.")
    state: str = Field(description="building (the version before is shown, if there was one), ready")
    backfilled: str | None = Field(description="While it is building: the month that is being counted, newest first.")
    version: int
    created_at: datetime
    updated_at: datetime
    ready_at: datetime | None


class ComputedValue(BaseModel):
    """What a customer is shown for a computed trait at `as_of`."""

    key: str
    label: Labels
    function: str
    value: Any
    currency: str | None = Field(description="Of the value; other currencies stand in by_currency.")
    by_currency: dict[str, Any] | None
    complete: bool = Field(description="false: there are more values than are kept or listed.")
    since: datetime | None = Field(description="When the window begins; null: no window.")
    until: datetime | None
    next_change: datetime | None = Field(description="When the clock alone may change it.")
    as_of: datetime
    version: int


class Part(BaseModel):
    """What is kept for one identifier, bucket of time and word."""

    via: UUID
    bucket: datetime | None = Field(description="When its time begins; null: all time.")
    word: str | None = Field(description="The value counted, or the currency.")
    count: int
    total: Decimal | None
    low: Decimal | None
    high: Decimal | None
    first_at: datetime | None
    last_at: datetime | None
    sessions: int


class Ordered(BaseModel):
    """An order that counts."""

    source: str
    order_id: str
    completed_at: datetime
    amount: Decimal
    refunded: Decimal
    currency: str


class ComputedExplained(ComputedValue):
    """The value, and what it is made of: the newest parts, or orders."""

    definition: dict[str, Any]
    parts: list[Part] = []
    orders: list[Ordered] = []
