"""Field types that more than one feature's bodies use."""

from typing import Annotated

from pydantic import BeforeValidator


def _no_text(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 (pydantic reports ValueError)
    return value


def _storable(value: object) -> object:
    if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Whole = Annotated[int, BeforeValidator(_no_text)]
"""A whole number, also spelled 297.0 as JSON Schema has it; never a string."""

Storable = BeforeValidator(_storable)
"""What of a text Postgres cannot keep is refused, before anything else looks at it."""
