"""What is checked before a message may leave, in this order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.campaigns.channels.models import Channel
from perennial.campaigns.consents import service as consents
from perennial.campaigns.consents.queries import Said
from perennial.campaigns.messages.quiet import quiet_until, zone_of
from perennial.campaigns.plans.steps import MessageStep
from perennial.common.identifiers import normalise
from perennial.common.rules.calendar.zones import TRAITS as ZONES

TRAITS = frozenset({"email", "unsubscribed", "consent", *ZONES})
_YES = frozenset({"true", "yes", "y", "on", "t", "1", "1.0"})
_NO = frozenset({"false", "no", "n", "off", "f", "0", "0.0"})


@dataclass(frozen=True)
class Verdict:
    """`status` queued (approved, or with `until` put off), or not_sent for a `reason`."""

    status: str
    reason: str | None = None
    address: str | None = None
    until: datetime | None = None
    detail: dict[str, Any] | None = None


@dataclass
class Budget:
    """How many messages each customer has had on each channel; what is approved counts at once."""

    used: dict[tuple[UUID, str], int]

    def spend(self, customer: UUID, channel: Channel) -> dict[str, Any] | None:
        """Count one more, or say by how much the cap is reached."""
        had = self.used.get((customer, channel.name), 0)
        if channel.cap is not None and had >= channel.cap:
            hours = channel.cap_window.total_seconds() / 3600
            return {"sent": had, "cap": channel.cap, "window_hours": hours}
        self.used[customer, channel.name] = had + 1
        return None


def judge(
    step: MessageStep, channel: Channel, customer: UUID, traits: Mapping[str, object], budget: Budget, now: datetime,
    statements: Sequence[Said] = (),
) -> Verdict:  # fmt: skip
    """Whether a message may leave now."""
    email = traits.get("email")
    address = normalise("email", email) if isinstance(email, str) else None
    if address is None:
        return Verdict("not_sent", "no_address", detail={"trait": "email", "present": email is not None})
    if step.purpose == "transactional":
        return Verdict("queued", address=address)
    if declined := _declined(step, traits, statements, now):
        return Verdict("not_sent", declined[0], address, detail=declined[1])
    zone = zone_of(traits)
    until = quiet_until(now, zone, channel.quiet_from, channel.quiet_until)
    if until is not None:
        return Verdict("queued", "quiet_hours", address, until, {"zone": str(zone), "until": until.isoformat()})
    if reached := budget.spend(customer, channel):
        return Verdict("not_sent", "frequency_cap", address, detail=reached)
    return Verdict("queued", address=address)


def _declined(
    step: MessageStep, traits: Mapping[str, object], statements: Sequence[Said], now: datetime
) -> tuple[str, dict[str, Any]] | None:
    """Reason and detail where the customer does not want such messages, by a trait or by a statement."""
    if said := refusal(step, traits):
        return "unsubscribed", {"trait": said}
    withdrawn = consents.refusal(statements, step.purpose, step.channel, now)
    return ("no_consent", dict(withdrawn)) if withdrawn else None


def refusal(step: MessageStep, traits: Mapping[str, object]) -> str | None:
    """The trait by which the customer declined: `unsubscribed`, or a no under channel or purpose in `consent`.

    Yes and no are read in every way in which they are commonly written; a `consent` that is itself a no declines all.
    """
    if _word(traits.get("unsubscribed")) in _YES:
        return "unsubscribed"
    consent = traits.get("consent")
    if isinstance(consent, Mapping):
        declined = {_word(name) for name, value in consent.items() if _word(value) in _NO}
        return next((f"consent.{name}" for name in (step.channel, step.purpose) if _word(name) in declined), None)
    return "consent" if _word(consent) in _NO else None


def _word(value: object) -> str:
    return str(value).strip().lower()
