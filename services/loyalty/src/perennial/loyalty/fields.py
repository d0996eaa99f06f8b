"""Field types that the bodies of more than one feature use, the programme's among them."""

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

POINTS = "points"
"""The currency that is meant where a programme names none."""
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]


def _decimal(most: int, pattern: str) -> WithJsonSchema:
    options = [{"type": "number", "minimum": 0, "maximum": most}, {"type": "string", "pattern": pattern}]
    return WithJsonSchema({"anyOf": options}, mode="validation")


Rate = Annotated[
    Decimal, Field(ge=0, le=10_000, decimal_places=6), _decimal(10_000, r"^([0-9]{1,4}(\.[0-9]{1,6})?|10000)$")
]
Factor = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4), _decimal(100, r"^([0-9]{1,2}(\.[0-9]{1,4})?|100)$")]


def _storable(value: object) -> object:
    if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Storable = BeforeValidator(_storable)
"""What of a text Postgres cannot keep is refused, before anything else looks at it."""
