"""What integrations says: a partner's endpoint was given up."""

from typing import ClassVar
from uuid import UUID

from perennial.common.contracts.base import ErasureReceipt, Event


class WebhookDisabled(Event):
    """Deliveries to an endpoint have stopped; its messages can be sent again."""

    subject: ClassVar[str] = "integrations.webhook.disabled.v1"

    webhook_id: UUID
    reason: str


class ErasureCompleted(ErasureReceipt):
    """What integrations held about a person is erased."""

    subject: ClassVar[str] = "integrations.erasure.completed.v1"
