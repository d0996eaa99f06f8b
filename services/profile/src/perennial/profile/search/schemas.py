"""HTTP bodies of look-ups."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from perennial.profile.params import Word


class Identifiers(BaseModel):
    """Identifiers of one person each, as `kind:value`."""

    model_config = ConfigDict(extra="forbid")

    people: list[Annotated[list[Annotated[Word, Field(max_length=400)]], Field(max_length=20)]] = Field(
        max_length=1000, description="For each person what may identify them."
    )


class Known(BaseModel):
    """Whether somebody has any of the identifiers, person by person in the order asked for."""

    known: list[bool]
