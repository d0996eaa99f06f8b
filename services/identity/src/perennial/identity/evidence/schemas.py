"""Bodies of the routes on evidence."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks, prose
from perennial.common.auth import Principal


class SeenAt(BaseModel):
    """A source that has seen an identifier, to the hour."""

    source: str
    first_at: datetime
    last_at: datetime


class NodeShown(BaseModel):
    """An identifier; the value is masked for who does not see its kind."""

    id: UUID
    kind: str
    value: str
    customer_id: UUID = Field(description="Today's: an identifier on the way may have left the customer.")
    shared: bool

    def seen_by(self, principal: Principal) -> Self:
        """The same with a value that the principal does not see in clear masked."""
        return self.model_copy(update={"value": masks.identifier(principal, self.kind, self.value)})


class IdentifierSeen(NodeShown):
    """An identifier of a customer, and when and where it was seen."""

    version: int
    created_at: datetime
    first_seen: datetime | None = Field(description="By the events' own time; null before this was recorded.")
    last_seen: datetime | None
    sources: list[SeenAt]


class EdgeShown(BaseModel):
    """What joined two identifiers: an event in which they stood together, or a person."""

    model_config = ConfigDict(from_attributes=True)

    cause: Literal["attached", "merged"] = Field(description="attached: `joined` was new. merged: two customers met.")
    through: UUID
    joined: UUID
    event_id: UUID | None
    source: str | None
    message_id: str | None
    merge_id: UUID | None
    reason: str | None = Field(description="Of a merge by hand.")
    by: str | None
    rule: int = Field(description="The version of the policy in force.")
    at: datetime
    undone_at: datetime | None = Field(description="When the merge was undone.")

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        message_id = masks.properties(principal, {"message_id": self.message_id})["message_id"]
        return self.model_copy(update={"message_id": message_id, "reason": prose.private(principal, self.reason)})


class IdentityGraph(BaseModel):
    """A customer as a graph. `id` is today's; it is the id of the identifier that founded the customer."""

    id: UUID
    identifiers: list[IdentifierSeen]
    edges: list[EdgeShown] = Field(description="Oldest first; one end may have left the customer since.")
    truncated: bool = Field(description="The customer has more than a thousand identifiers; these are the oldest.")


class Step(BaseModel):
    """From one identifier to the next."""

    from_: NodeShown = Field(alias="from")
    to: NodeShown
    evidence: EdgeShown


class Explanation(BaseModel):
    """Why an identifier belongs to a customer: the way to it from the one that founded the customer."""

    id: UUID
    founding: NodeShown
    identifier: NodeShown
    chain: list[Step] = Field(description="Empty for the founding identifier itself.")
