"""Messages as they are shown: masked, and explained."""

from typing import Any
from uuid import UUID

from perennial.campaigns.messages.models import Message
from perennial.campaigns.templates import Sources
from perennial.common import masks, prose
from perennial.common.auth import Principal

_REASONS = {
    "no_address": "not sent: the customer has no trait email that is an address",
    "unsubscribed": "not sent: the customer declined such messages ({trait})",
    "no_consent": "not sent: the consent to {purpose} is {state} since {at} (channel {channel})",
    "frequency_cap": "not sent: the customer had {sent} messages here in {window_hours:g} hours, the cap is {cap}",
    "quiet_hours": "put off: it is night where the customer lives ({zone}), until {until}",
    "control_group": "not sent: the customer is in the control group of the journey's split",
    "exited": "not sent: the customer left the journey before it could go",
    "template_error": "not sent: the template failed: {error}",
}


def explained(message: Message, detail: dict[str, Any]) -> str:
    """Why a message is where it is, in a sentence; `detail` as it may be shown."""
    error = detail.get("error", "")
    if message.status == "sent":
        times = "" if message.attempts <= 1 else f", after {message.attempts} attempts"
        return f"sent: the provider took it{times}"
    if message.status == "failed":
        return f"failed: the provider did not take it in {message.attempts} attempts: {error}"
    if message.reason == "provider_error":
        return f"to be tried again: the provider did not take it: {error}"
    said = _REASONS.get(message.reason or "")
    if said is not None:
        return _filled(said, detail)
    return "approved, about to be sent" if message.approved_at else "waits for another check before it is sent"


def _filled(said: str, detail: dict[str, Any]) -> str:
    try:
        return said.format_map(detail)
    except (LookupError, ValueError):
        return said.partition("(")[0].partition(": {")[0].strip()


def is_clear(principal: Principal, made_of: Sources) -> bool:
    """Whether a text is shown: to whoever sees all that it was made of; for what an event may hold, personal fields."""
    if masks.sees_all(principal):
        return True
    return (
        not masks.hidden(principal, made_of.traits)
        and all(masks.sees_property(principal, name) for name in made_of.names)
        and not made_of.whole
        and (prose.sees_private(principal) or not made_of.event)
    )


def view(principal: Principal, message: Message, customer: UUID, made_of: Sources) -> dict[str, Any]:
    """What a list shows of a message."""
    fields = ("id", "journey_id", "version", "step", "enrolment_id", "via", "channel", "purpose", "status", "reason",
              "attempts", "created_at")  # fmt: skip
    address = message.address
    return {name: getattr(message, name) for name in fields} | {
        "customer_id": customer,
        "to": None if address is None else masks.identifier(principal, "email", address),
        "subject": _text(principal, message.subject, made_of),
        "at": message.settled_at,
    }


def _text(principal: Principal, text: str | None, made_of: Sources) -> str | None:
    if text is None:
        return None
    return prose.masked(principal, text) if is_clear(principal, made_of) else prose.HIDDEN


def story(principal: Principal, message: Message, customer: UUID, made_of: Sources) -> dict[str, Any]:
    """All there is to say of one message, as far as somebody may see it."""
    provider_id = message.provider_id
    said = message.reason == "template_error" and not is_clear(principal, made_of)  # it may quote what it failed on
    detail = {"error": prose.HIDDEN} if said else prose.within(principal, message.detail)
    return view(principal, message, customer, made_of) | {
        "body": _text(principal, message.body, made_of),
        "provider_id": None if provider_id is None else prose.masked(principal, provider_id),
        "customer_at_decision": message.customer_id,
        "explanation": explained(message, detail or {}),
        "detail": detail,
    }
