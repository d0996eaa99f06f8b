"""Bodies of the routes on identifiers."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.identifiers import KINDS
from perennial.common.web.reveal import Why


def _known(kind: str) -> str:
    if kind not in KINDS:
        msg = f"must be one of {', '.join(KINDS)}"
        raise ValueError(msg)
    return kind


class IdentifierShown(BaseModel):
    """An identifier of a customer; the value is masked for who does not see its kind."""

    id: UUID
    kind: str
    value: str
    customer_id: UUID
    version: int
    created_at: datetime

    def seen_by(self, principal: Principal) -> Self:
        """The same with a value that the principal does not see in clear masked."""
        return self.model_copy(update={"value": masks.identifier(principal, self.kind, self.value)})


class IdentifierFound(BaseModel):
    """Whose an identifier is."""

    id: UUID
    kind: str
    customer_id: UUID


class IdentifiersWanted(Why):
    """Which identifiers of a customer to see in clear, and why."""

    kinds: (
        list[Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(KINDS)})]] | None
    ) = Field(default=None, min_length=1, max_length=50, description="Every kind when none is named.")


class IdentifiersRevealed(BaseModel):
    """A customer's identifiers in clear. `id` is today's."""

    id: UUID
    identifiers: list[IdentifierShown]
    truncated: bool = Field(description="The customer has more than a thousand; name kinds to see others.")
