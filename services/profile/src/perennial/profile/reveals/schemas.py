"""HTTP bodies of reveals."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from perennial.common.web.reveal import Why
from perennial.profile.params import Word


class TraitsWanted(Why):
    """Which traits of a customer to see in clear, and why."""

    fields: list[Annotated[Word, Field(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=50, description="Names of traits, in any spelling.", examples=[["email", "phone"]]
    )


class TraitsRevealed(BaseModel):
    """Traits in clear; those that the customer does not have are left out. `id` is today's."""

    id: UUID
    traits: dict[str, Any]
