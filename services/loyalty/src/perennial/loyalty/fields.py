"""Field types that more than one feature's bodies use."""

from pydantic import BeforeValidator


def _storable(value: object) -> object:
    if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Storable = BeforeValidator(_storable)
"""What of a text Postgres cannot keep is refused, before anything else looks at it."""
