"""HTTP bodies of roles."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from perennial.gateway.permissions import ROLES, Role
from perennial.gateway.principals.shapes import SeenFields


class ChosenFields(BaseModel):
    """What a role sees in clear besides public fields; null: what is built in."""

    model_config = ConfigDict(extra="forbid")

    fields: SeenFields | None


class RoleOut(BaseModel):
    """What staff in a role may do, and see in clear."""

    name: str
    version: int = Field(description="The ETag of its fields; 0 while nobody has chosen any.")
    about: str
    scopes: list[str]
    fields: list[str]
    built_in_fields: list[str]

    @classmethod
    def of(cls, name: str, role: Role, version: int) -> Self:
        """The body for a role as it is in force."""
        return cls(
            name=name, version=version, about=role.about, scopes=sorted(role.scopes), fields=sorted(role.fields),
            built_in_fields=sorted(ROLES[name].fields),
        )  # fmt: skip


class Roles(BaseModel):
    """Every role."""

    items: list[RoleOut]
