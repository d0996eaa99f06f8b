"""Why a rule holds of a customer, or does not, as somebody may see it."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.rules import Explanation


class Reason(BaseModel):
    """One node of a rule, asked about one customer."""

    pointer: str
    phrase: str
    holds: bool
    value: Any = None
    evidence: list[dict[str, Any]] = []
    next_change: datetime | None = None
    parts: list["Reason"] = []


def reason(found: Explanation, who: Principal) -> Reason:
    """A node of an explanation; what is compared and what events say are masked for whom they are hidden from."""
    return Reason(
        pointer=found.pointer,
        phrase=found.phrase,
        holds=found.holds,
        value=masks.compared_value(who, found.rule, found.value),
        evidence=[{"at": seen.at, "properties": masks.properties(who, seen.properties)} for seen in found.evidence],
        next_change=found.next_change,
        parts=[reason(part, who) for part in found.parts],
    )
