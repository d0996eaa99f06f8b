"""What rows of a file say of consent: when it was said and by what evidence is in the file."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from perennial.common.rules.values import scalars
from perennial.profile.consents import service
from perennial.profile.consents.queries import Statement

LONGEST = 400
METHOD = "import"


class Row(NamedTuple):
    """The event of one row of a file."""

    id: UUID
    via: UUID
    source: str
    message_id: str
    timestamp: datetime
    received_at: datetime
    properties: Mapping[str, Any]


def said(event: Row, purposes: Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of one row; of a purpose or a channel that is no more it says nothing."""
    properties = event.properties
    listed = properties.get("consents")
    for one in listed if isinstance(listed, list) else ():
        found = _statement(event, one, purposes, str(properties.get("import") or "")) if isinstance(one, dict) else None
        if found is not None:
            yield found


def _statement(
    event: Row, one: Mapping[str, Any], purposes: Mapping[str, Any], file: str
) -> Statement | None:  # fmt: skip
    purpose, channel, granted = one.get("purpose"), one.get("channel", service.EVERYWHERE), one.get("granted")
    row = purposes.get(purpose) if isinstance(purpose, str) else None
    if row is None or not isinstance(granted, bool):
        return None
    if channel != service.EVERYWHERE and channel not in row["channels"]:
        return None
    at = _at(event, one)
    days = row["valid_days"] if granted else None
    version, locale = one.get("text_version"), one.get("text_locale")
    until = at + timedelta(days=days) if days else None
    evidence = {"message_id": event.message_id, "import": file, "reference": one.get("evidence")}
    return Statement(
        uuid5(event.id, f"{purpose}/{channel}"), event.via, row["key"], channel,
        service.GIVEN if granted else service.WITHDRAWN, at, row["legal_basis"],
        locale[:20] if isinstance(locale, str) else None,
        version if type(version) is int and 0 < version < 2**31 else None, None, one.get("separate") is True, until,
        event.source, METHOD, "customer",
        {name: value[:LONGEST] for name, value in evidence.items() if isinstance(value, str) and value},
    )  # fmt: skip


def _at(event: Row, one: Mapping[str, Any]) -> datetime:
    """Of what lies ahead nothing is taken: it would outlive whatever is said until then."""
    told = scalars.instant(one.get("at"))
    return min(told or event.timestamp, event.received_at)
