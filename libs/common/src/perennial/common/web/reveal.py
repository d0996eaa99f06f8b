"""Seeing what is masked: a scope of its own, a reason, and a row in the audit trail before the answer leaves."""

from typing import Annotated

from fastapi import Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.auth import Principal, requires
from perennial.common.masks import REVEAL

Revealer = Annotated[Principal, Depends(requires(REVEAL))]


def _storable(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


class Why(BaseModel):
    """Why somebody has to see what is masked."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500), AfterValidator(_storable)
    ] = Field(description="For the audit trail.")
