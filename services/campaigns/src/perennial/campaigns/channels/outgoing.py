"""What senders hand to a provider, and what it can answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Outgoing:
    """An approved message."""

    id: UUID
    enrolment_id: UUID
    journey_id: UUID
    step: str
    channel: str
    via: UUID
    customer_id: UUID
    attempts: int
    created_at: datetime
    address: str
    subject: str
    body: str
    format: str
    sender: str
    unsubscribe: str | None


@dataclass(frozen=True)
class Accepted:
    """The provider has it, under this name."""

    provider_id: str


@dataclass(frozen=True)
class Refused:
    """It will never go."""

    error: str


@dataclass(frozen=True)
class TryLater:
    """It may go another time."""

    error: str


Result = Accepted | Refused | TryLater


class Provider(Protocol):
    """A way out. It must tell a repeated message by its id, or else may deliver it twice."""

    channel: str
    batch: int

    async def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """One result per message, in their order; never raises for what a provider does."""
        ...
