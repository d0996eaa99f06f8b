"""Bodies of the routes on parked events."""

import base64
import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.messaging.parked import ParkedRow
from perennial.common.web.fields import Whole


class ParkedShown(BaseModel):
    """An event that could not be decided; the body is base64 of JSON."""

    id: int
    subject: str
    event_id: UUID | None
    error: str
    parked_at: datetime
    body: str | None = Field(description="Null for who does not see all in clear, where it cannot be read and masked.")

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        if masks.sees_all(principal) or self.body is None:
            return self
        error = masks.error(principal, self.error)
        return self.model_copy(update={"error": error, "body": _masked(principal, self.body)})


def _masked(principal: Principal, encoded: str) -> str | None:
    """Events as the gateway accepted them; what the clients sent stands in the `body` of each."""
    try:
        accepted = json.loads(base64.b64decode(encoded))
        shown = {**accepted, "events": [_event(principal, item) for item in accepted["events"]]}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return base64.b64encode(json.dumps(shown, ensure_ascii=False).encode()).decode()


def _event(principal: Principal, item: dict[str, Any]) -> dict[str, Any]:
    return {**masks.properties(principal, item), "body": masks.body(principal, item["body"])}


class Lookup(BaseModel):
    """A message id, and the sources that may have sent it."""

    model_config = ConfigDict(extra="forbid")

    message_id: str = Field(min_length=1, max_length=200)
    sources: list[Annotated[str, Field(max_length=200)]] = Field(max_length=100_000)


class Reason(BaseModel):
    """Why an event is parked."""

    code: str
    detail: str


class ParkedEvent(BaseModel):
    """A parked event in the terms of the timeline."""

    state: Literal["parked"] = "parked"
    reason: Reason
    parked_at: datetime
    id: UUID
    message_id: str
    type: str
    name: str | None
    timestamp: datetime
    original_timestamp: str | None
    sent_at: datetime | None
    received_at: datetime
    source: str
    live: bool
    body: dict[str, Any]

    @classmethod
    def of(cls, row: ParkedRow) -> Self:
        """From a row of one event. Raises ValueError when its body is none of the gateway's."""
        accepted = json.loads(base64.b64decode(row.body))
        (event,) = accepted["events"]
        code, _, detail = row.error.partition(": ")
        original = event["body"].get("originalTimestamp") or event["body"].get("timestamp")
        said = {"original_timestamp": original and str(original), "source": accepted["source"]}
        held = {"sent_at": None, **event, **said, "id": row.event_id, "parked_at": row.parked_at}
        return cls.model_validate({**held, "reason": {"code": code, "detail": detail or code}})

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        reason = Reason(code=self.reason.code, detail=masks.error(principal, self.reason.detail) or "")
        shown = {
            "reason": reason,
            "message_id": masks.text(principal, self.message_id, bare=False),
            "name": self.name and masks.text(principal, self.name, bare=False),
            "body": masks.body(principal, self.body),
        }
        return self.model_copy(update=shown)


class ReplayWanted(BaseModel):
    """Which parked events to decide again."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[Whole, Field(ge=1, lt=2**53)]] = Field(min_length=1, max_length=200)


class Refusal(BaseModel):
    """A parked event that stays parked."""

    id: int
    error: str


class ReplayDone(BaseModel):
    """What became of a replay; ids that were replayed before are in neither list."""

    replayed: list[int]
    failed: list[Refusal]
