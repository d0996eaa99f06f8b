"""HTTP bodies of retention."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Months = Annotated[int, Field(ge=1, le=240, description="Whole months after the month in which it happened.")]


class Retention(BaseModel):
    """For how many months the timeline keeps what. What was counted and known of a customer stays."""

    model_config = ConfigDict(extra="forbid")

    behaviour: Months = Field(description="What customers did and said: views, searches, identify, any own event.")
    transactions: Months = Field(description="Orders and what became of them, points.")
    service: Months = Field(description="Tickets and scores.")
    communication: Months = Field(description="Messages, sent or not, and consents.")
    lifecycle: Months = Field(description="Segments, tiers, journeys, stages, tags, merges.")
