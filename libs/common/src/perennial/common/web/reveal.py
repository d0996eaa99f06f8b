"""Seeing what is masked: a scope of its own, a reason, and a row in the audit trail before the answer leaves.

The scope opens nothing that its holder may not read: `Depends(reveals("tickets:read"))`.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.auth import requires
from perennial.common.masks import REVEAL


def reveals(reads: str) -> Callable[..., Any]:
    """A dependency: the principal, if it may reveal and holds the scope of reading what is revealed."""
    return requires(REVEAL, reads)


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
