"""HTTP bodies of ticket types."""

from perennial.tickets.texts import Key
from perennial.tickets.types.definition import TypeDefinition


class TypeIn(TypeDefinition):
    """A new type."""

    key: Key


class TypeOut(TypeDefinition):
    """A type in force."""

    key: str
    version: int
