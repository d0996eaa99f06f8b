"""Strings as clients may send them: bounded, and nothing that Postgres cannot keep."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def storable(value: str) -> str:
    """Raises ValueError for what Postgres has no place for."""
    if "\0" in value:
        raise ValueError("must not hold the character U+0000")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not hold half of a surrogate pair")
    return value


Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
"""What configuration is called."""
AgentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", max_length=100)]
"""Whom staff know an agent by."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), AfterValidator(storable)]
Subject = Annotated[
    str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True), AfterValidator(storable)
]
Prose = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True), AfterValidator(storable)
]
