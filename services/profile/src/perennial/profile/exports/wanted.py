"""What an export is asked for: it is kept as the input of the operation."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from perennial.common import rules
from perennial.common.rules.values.paths import trait_path
from perennial.profile.params import Word

OWN = ("id", "stage", "tags", "first_seen", "last_seen", "events", "traits", "computed")
TRAIT = "trait."

Name = Annotated[Word, Field(min_length=1, max_length=200)]


class NewExport(BaseModel):
    """Which customers, and what of each. Without columns: all of `id`, `stage`, `tags`, … , `traits`, `computed`."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "jsonl"] = "csv"
    columns: list[Name] | None = Field(
        default=None, min_length=1, max_length=200, description=f"{', '.join(OWN)} or trait.<path>."
    )
    bom: bool = Field(default=False, description="For Excel, which reads UTF-8 only so.")
    q: Name | None = Field(default=None, description="The beginning of a name.")
    tags: list[Name] = Field(default=[], max_length=50)
    stages: list[Name] = Field(default=[], max_length=50)
    segment: UUID | None = None
    filter: dict[str, Any] | None = Field(default=None, description="A rule about traits and segments.")

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: list[str] | None) -> list[str] | None:
        for column in columns or ():
            if column.startswith(TRAIT):
                trait_path(column.removeprefix(TRAIT))
            elif column not in OWN:
                raise ValueError(f"{column!r} must be one of {', '.join(OWN)} or trait.<path>")
        return columns

    @model_validator(mode="after")
    def _rule(self) -> Self:
        if self.filter is not None:
            rules.parse(self.filter)
        return self
