"""Spending and adjusting on the wire."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from perennial.common.web.fields import Whole
from perennial.loyalty.fields import Code, Storable

MOST = 10**12


def _not_zero(value: object) -> object:
    if value == 0:
        raise ValueError("must not be 0")
    return value


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]


class SpendIn(BaseModel):
    """Points to take from a customer."""

    model_config = ConfigDict(extra="forbid")

    points: Whole = Field(ge=1, le=MOST)
    currency: Code | None = Field(default=None, description="Null: the main one of the programme.")
    reason: Reason
    reference: Reference | None = Field(default=None, description="What they were spent on, in your terms.")


class AdjustIn(BaseModel):
    """Points to give (above zero) or to take (below), with the reason for the audit."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[Whole, BeforeValidator(_not_zero)] = Field(ge=-MOST, le=MOST)
    currency: Code | None = Field(default=None, description="Null: the main one of the programme.")
    reason: Reason
    reference: Reference | None = None


class PostedOut(BaseModel):
    """What was posted, and the balance after it."""

    posting_id: UUID
    customer_id: UUID
    points: int
    currency: str
    balance: int
    reason: str
    reference: str | None
