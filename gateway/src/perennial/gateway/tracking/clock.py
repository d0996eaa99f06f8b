"""When an event happened, given clocks that are wrong (the tracking protocol's timestamp rules)."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

LIVE_FOR = timedelta(hours=24)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """An event's instant by our clock, and whether anything may still follow from it."""

    timestamp: datetime
    live: bool


def parse(value: object) -> datetime | None:
    """An ISO 8601 instant; without a zone it is UTC; None for what cannot be one or lies before 1970."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found >= _EARLIEST else None


def correct(
    *,
    timestamp: datetime | None,
    original: datetime | None,
    sent: datetime | None,
    received: datetime,
    imported: bool,
) -> Moment:
    """The corrected instant: never later than `received`, shifted by the client's clock error where it said `sent`."""
    found = _corrected(timestamp, original, sent, received)
    found = min(found, received)
    newest = found if sent is not None else received
    return Moment(found, not imported and received - newest < LIVE_FOR)


def _corrected(
    timestamp: datetime | None, original: datetime | None, sent: datetime | None, received: datetime
) -> datetime:
    if timestamp is not None and original is not None:
        return timestamp
    happened = original or timestamp
    if happened is None:
        return received
    if sent is None:
        return happened
    try:
        shifted = received - (sent - happened)
    except OverflowError:
        return received
    return shifted if shifted >= _EARLIEST else happened
