"""What every part of a rule is: frozen, and strict about what it may hold."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.json_schema import SkipJsonSchema

Unset = SkipJsonSchema[None]


class Node(BaseModel):
    """Frozen, and strict about unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    def chosen(self, *besides: str) -> list[str]:
        """The optional members given, in their JSON spelling."""
        given = ((name, info) for name, info in type(self).model_fields.items() if name not in besides)
        return [info.alias or name for name, info in given if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        if missing := [name for name in self.model_fields_set if getattr(self, name) is None]:
            raise ValueError(f"{missing[0].rstrip('_')} must not be null")
        return self


def exactly_one(chosen: list[str], of: str) -> None:
    """Raises ValueError that names what was found."""
    if len(chosen) != 1:
        found = f", found {' and '.join(chosen)}" if chosen else ""
        raise ValueError(f"must have exactly one {of}{found}")


def plainly(value: object) -> object:
    """How a part is written back as JSON; an operand masked for showing as it is."""
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Node) else value
