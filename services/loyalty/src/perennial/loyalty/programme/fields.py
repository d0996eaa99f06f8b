"""Field types of a programme."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, WithJsonSchema

POINTS = "points"
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]


def _decimal(most: int, pattern: str) -> WithJsonSchema:
    options = [{"type": "number", "minimum": 0, "maximum": most}, {"type": "string", "pattern": pattern}]
    return WithJsonSchema({"anyOf": options}, mode="validation")


Rate = Annotated[
    Decimal, Field(ge=0, le=10_000, decimal_places=6), _decimal(10_000, r"^([0-9]{1,4}(\.[0-9]{1,6})?|10000)$")
]
Factor = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4), _decimal(100, r"^([0-9]{1,2}(\.[0-9]{1,4})?|100)$")]
