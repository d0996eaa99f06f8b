"""Bodies of the routes on identifiers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class IdentifierShown(BaseModel):
    """An identifier of a customer, readable."""

    id: UUID
    kind: str
    value: str
    customer_id: UUID
    version: int
    created_at: datetime


class IdentifierFound(BaseModel):
    """Whose an identifier is."""

    id: UUID
    kind: str
    customer_id: UUID
