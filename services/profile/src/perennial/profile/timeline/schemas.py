"""HTTP bodies of the timeline."""

from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.timeline import facts, kinds
from perennial.profile.timeline.kinds import Kind
from perennial.profile.traits.sealing import Opened


class TimelineEvent(BaseModel):
    """One event as it was sent, and what the platform made of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    message_id: str
    type: str
    name: str | None
    timestamp: datetime = Field(description="When it happened, corrected for the client's clock.")
    original_timestamp: str | None = Field(description="When it happened by the client's clock, as it was sent.")
    sent_at: datetime | None = Field(description="When it was sent, by the client's clock.")
    received_at: datetime = Field(description="When it arrived.")
    source: str
    live: bool = Field(description="False for imports and late arrivals, from which no message follows.")
    via: UUID = Field(description="The identifier that speaks for the customer.")
    body: dict[str, Any]

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        shown = {
            "message_id": masks.text(principal, self.message_id, bare=False),
            "name": self.name and masks.text(principal, self.name, bare=False),
            "body": masks.body(principal, self.body),
        }
        return self.model_copy(update=shown)


class Occurrence(BaseModel):
    """One thing that happened to a customer: an event of theirs, or what a service did for them or said of them."""

    id: UUID
    kind: Kind
    name: str = Field(
        description="An event's name, or its type where it has none; else the kind and what happened: `points.earned`."
    )
    at: datetime = Field(description="When it happened.")
    received_at: datetime = Field(description="When the timeline heard of it.")
    source: str = Field(description="The event's source, or the service that said it.")
    via: UUID = Field(description="The identifier that it is filed under; merges and splits move none.")
    data: dict[str, Any] = Field(description="The event as it was sent, or what the service said.")


def occurrence(row: Opened, principal: Principal) -> Occurrence:
    """A row of the timeline as the principal may see it."""
    name, kind = row.name or row.type, row.type
    if row.type in kinds.TRACKED:
        kind, name, data = kinds.EVENT, masks.text(principal, name, bare=False), masks.body(principal, row.body)
    else:
        kind, data = row.type, facts.shown(principal, row.source, row.type, name, row.body)
    return Occurrence(
        id=row.id,
        kind=kind,
        name=name,
        at=row.timestamp.astimezone(UTC),
        received_at=row.received_at.astimezone(UTC),
        source=row.source,
        via=row.via,
        data=data,
    )
