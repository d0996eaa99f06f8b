"""Messages as they are shown: masked, and explained."""

from typing import Any
from uuid import UUID

from perennial.campaigns.messages.models import Message

_REASONS = {
    "no_address": "not sent: the customer has no trait email that is an address",
    "unsubscribed": "not sent: the customer declined such messages ({trait})",
    "frequency_cap": "not sent: the customer had {sent} messages here in {window_hours:g} hours, the cap is {cap}",
    "quiet_hours": "put off: it is night where the customer lives ({zone}), until {until}",
    "control_group": "not sent: the customer is in the control group of the journey's split",
    "exited": "not sent: the customer left the journey before it could go",
    "template_error": "not sent: the template failed: {error}",
}


def masked(address: str | None) -> str | None:
    """`j***@example.com`."""
    if address is None:
        return None
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"


def explained(message: Message) -> str:
    """Why a message is where it is, in a sentence."""
    error = (message.detail or {}).get("error", "")
    if message.status == "sent":
        times = "" if message.attempts <= 1 else f", after {message.attempts} attempts"
        return f"sent: the provider took it{times}"
    if message.status == "failed":
        return f"failed: the provider did not take it in {message.attempts} attempts: {error}"
    if message.reason == "provider_error":
        return f"to be tried again: the provider did not take it: {error}"
    said = _REASONS.get(message.reason or "")
    if said is not None:
        return _filled(said, message.detail or {})
    return "approved, about to be sent" if message.approved_at else "waits for another check before it is sent"


def _filled(said: str, detail: dict[str, Any]) -> str:
    try:
        return said.format_map(detail)
    except (LookupError, ValueError):
        return said.partition("(")[0].partition(": {")[0].strip()


def view(message: Message, customer: UUID) -> dict[str, Any]:
    """What a list shows of a message."""
    fields = ("id", "journey_id", "version", "step", "enrolment_id", "via", "channel", "purpose", "subject", "status",
              "reason", "attempts", "created_at")  # fmt: skip
    return {name: getattr(message, name) for name in fields} | {
        "customer_id": customer,
        "to": masked(message.address),
        "at": message.settled_at,
    }


def story(message: Message, customer: UUID) -> dict[str, Any]:
    """All there is to say of one message."""
    return view(message, customer) | {
        "to": message.address,
        "body": message.body,
        "provider_id": message.provider_id,
        "customer_at_decision": message.customer_id,
        "explanation": explained(message),
        "detail": message.detail,
    }
