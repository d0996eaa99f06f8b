"""Bodies of the routes on parked events."""

import base64
import json
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks
from perennial.common.auth import Principal
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
