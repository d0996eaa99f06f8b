"""HTTP bodies of imports."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.gateway.imports.mapping import Mapping, Name


class Wanted(BaseModel):
    """By which mapping: this one, or one that is kept under a name."""

    model_config = ConfigDict(extra="forbid")

    mapping: Mapping | None = None
    mapping_name: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.mapping is None) == (self.mapping_name is None):
            raise ValueError("say either mapping or mapping_name")
        return self


class ImportOut(BaseModel):
    """An uploaded file. `suggested` is a mapping by the names of its columns; null where none is an identifier."""

    id: UUID
    name: str
    source_id: str
    encoding: str
    delimiter: str
    bytes: int
    columns: list[str]
    sample: list[list[str]]
    suggested: Mapping | None


class NewMapping(BaseModel):
    """A mapping to keep."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    mapping: Mapping


class MappingOut(NewMapping):
    """A mapping that is kept; it never changes."""

    created_at: datetime
    created_by: str
