"""One event of a request: is it valid, and what do the services need to know of it."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from perennial.common import consent
from perennial.common.commerce import canonical
from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.contracts.hot import Body, read_body
from perennial.common.imported import EVENT as IMPORTED
from perennial.gateway.tracking import clock
from perennial.gateway.tracking.depth import MAX_DEPTH, too_deep
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.refusal import Rejection
from perennial.gateway.tracking.splice import members, size_without_transport, splice, unreadable

MAX_BYTES = 32 * 1024
TRANSPORT_BYTES = 2 * 1024
MAX_MESSAGE_ID = 100
OLDEST = timedelta(days=35)  # as far as repeats are known by; identity refuses what is older, too
TYPES = frozenset({"identify", "track", "page", "screen", "group", "alias"})
_OBJECTS = ("context", "properties", "traits", "integrations")
_QUOTED = {name: f'"{name}"'.encode() for name in Body.__struct_fields__}
_IDS = {
    "userId": "invalid_user_id",
    "anonymousId": "invalid_anonymous_id",
    "previousId": "invalid_previous_id",
    "groupId": "invalid_group_id",
}
_ANY = msgspec.json.Decoder()


class _Named(msgspec.Struct):
    messageId: Any = None  # noqa: N815 (the protocol's spelling)


_NAMED = msgspec.json.Decoder(_Named)


class Arrival(NamedTuple):
    """What is true of every event of one request. `anonymous`: the sender has seen to it that traits identify.

    `may_consent`: a client's events may give consent that must be asked for by itself.
    """

    source_id: str
    received_at: datetime
    envelope: Envelope
    kind: str | None = None
    header_sent_at: str | None = None
    ip: str | None = None
    client_side: bool = False
    anonymous: bool = False
    may_consent: bool = False


class Invalid(ValueError):  # noqa: N818 - it says what the event is
    """The event cannot be accepted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def judge(arrival: Arrival) -> tuple[list[AcceptedEvent], list[Rejection]]:
    """Judge every event of a request by itself."""
    accepted: list[AcceptedEvent] = []
    rejected: list[Rejection] = []
    batch_sent_at = clock.parse(arrival.envelope.sent_at)
    for index, raw in enumerate(arrival.envelope.events):
        data = bytes(raw)
        try:
            accepted.append(_accept(_read(data), data, index, arrival, batch_sent_at))
        except Invalid as error:
            rejected.append(Rejection(index, _shown_id(data), error.code, error.message, data))
    return accepted, rejected


def _read(data: bytes) -> dict[str, Any]:
    if data[:1] != b"{":
        raise Invalid("not_an_object", "the event must be a JSON object")
    if _too_large(data):
        raise Invalid("event_too_large", f"the event is larger than {MAX_BYTES} bytes")
    try:
        event: dict[str, Any] = _ANY.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        reason = str(error).partition(" - at ")[0]
        raise Invalid("invalid_event", f"{unreadable(data) or 'the event'} cannot be read: {reason}") from error
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and too_deep(event):
        raise Invalid("too_deep", f"the event is nested deeper than {MAX_DEPTH} levels")
    for field in _OBJECTS:
        found = event.get(field)
        if found is not None and not isinstance(found, dict):
            raise Invalid(f"invalid_{field}", f"{field} must be an object")
    _check_repeated(event, data)
    return event


def _check_repeated(event: dict[str, Any], data: bytes) -> None:
    """Of a member that is sent twice we see the last, the services each of them."""
    if b"\\u" in data or any(data.count(_QUOTED[name]) > 1 for name in event if name in _QUOTED):
        try:
            read_body(msgspec.Raw(data))
        except msgspec.MsgspecError as error:
            raise Invalid("invalid_event", f"the event says something twice: {error}") from error


def _accept(
    event: dict[str, Any], data: bytes, index: int, arrival: Arrival, sent_at: datetime | None
) -> AcceptedEvent:
    kind = _kind(event, arrival.kind)
    ids, changes = _ids(event)
    if not arrival.anonymous:
        _check_ids(kind, ids)
    name = _name(kind, event)
    context = event.get("context") or {}
    imported = arrival.envelope.imported
    if name == IMPORTED and (arrival.client_side or not imported):  # it gives consent, and a public key proves nobody
        raise Invalid("import_only", f"event: {IMPORTED} is said by imports only, and by no client")
    if context.get("import") is True and not imported:
        raise Invalid("import_in_event", "context.import belongs to the batch, not to an event")
    message_id = _message_id(event) or named_after(arrival.source_id, index, data)
    sent_at = sent_at or clock.parse(event.get("sentAt")) or clock.parse(arrival.header_sent_at)
    moment = clock.correct(
        timestamp=clock.parse(event.get("timestamp")),
        original=clock.parse(event.get("originalTimestamp")),
        sent=sent_at,
        received=arrival.received_at,
        imported=imported,
    )
    if not imported and arrival.received_at - moment.timestamp > OLDEST:
        raise Invalid("too_old", f"timestamp: the event is older than {OLDEST.days} days, it can only be imported")
    _fill(changes, data, event, context, arrival)
    if arrival.client_side and name in consent.EVENTS:
        _bound_consent(changes, data, context, arrival)
    return AcceptedEvent(
        message_id=message_id,
        type=kind,
        name=name,
        timestamp=moment.timestamp,
        received_at=arrival.received_at,
        live=moment.live,
        imported=imported,
        body=msgspec.Raw(_changed(data, changes) if changes else data),
        sent_at=sent_at,
    )


def _kind(event: dict[str, Any], by_path: str | None) -> str:
    kind = by_path or event.get("type")
    if kind is None or kind == "":
        raise Invalid("missing_type", "type is required")
    if not isinstance(kind, str) or kind not in TYPES:
        raise Invalid("unknown_type", f"type must be one of {', '.join(sorted(TYPES))}")
    return kind


def _ids(event: dict[str, Any]) -> tuple[dict[str, str], dict[str, object]]:
    """The event's ids as trimmed strings, and those of them that were not sent like that."""
    ids: dict[str, str] = {}
    changes: dict[str, object] = {}
    for field, code in _IDS.items():
        sent = event.get(field)
        if sent is None:
            continue
        if isinstance(sent, str):
            text = sent.strip()
        elif isinstance(sent, (int, float)) and not isinstance(sent, bool):
            text = str(int(sent)) if sent == int(sent) else str(sent)
        else:
            raise Invalid(code, f"{field} must be a string or a number")
        if text != sent:
            changes[field] = text
        if text:
            ids[field] = text
    return ids, changes


def _check_ids(kind: str, ids: dict[str, str]) -> None:
    if kind == "alias":
        if "userId" not in ids:
            raise Invalid("missing_user_id", "userId is required in alias")
        if "previousId" not in ids:
            raise Invalid("missing_previous_id", "previousId is required in alias")
    elif "userId" not in ids and "anonymousId" not in ids:
        raise Invalid("no_user_anon_id", "userId or anonymousId is required")
    if kind == "group" and "groupId" not in ids:
        raise Invalid("missing_group_id", "groupId is required in group")


def _name(kind: str, event: dict[str, Any]) -> str | None:
    if kind == "track":
        sent = event.get("event")
        if not isinstance(sent, str) or not sent.strip():
            raise Invalid("missing_event", "event must be a non-empty string in track")
        return canonical(sent)
    if kind in {"page", "screen"}:
        sent = event.get("name")
        return (sent.strip() or None) if isinstance(sent, str) else None
    return None


def _message_id(event: dict[str, Any]) -> str | None:
    sent = event.get("messageId")
    if isinstance(sent, int) and not isinstance(sent, bool):
        sent = str(sent)
    if sent is not None and not isinstance(sent, str):
        raise Invalid("invalid_message_id", "messageId must be a string")
    if sent and len(sent) > MAX_MESSAGE_ID:
        raise Invalid("message_id_too_long", f"messageId has more than {MAX_MESSAGE_ID} characters")
    return sent.strip() or None if sent else None


def named_after(source_id: str, index: int, data: bytes) -> str:
    """The id of an event that came without one: the same for the same request sent again."""
    return hashlib.blake2b(b"%s\0%d\0%s" % (source_id.encode(), index, data), digest_size=16).hexdigest()


def _fill(
    changes: dict[str, object], data: bytes, event: dict[str, Any], context: dict[str, Any], arrival: Arrival
) -> None:
    """Put what the request says for all its events under what the event says itself."""
    under: dict[str, object] = dict(arrival.envelope.context or {})
    if arrival.ip and "ip" not in context and (arrival.client_side or context.get("direct") is True):
        under.setdefault("ip", arrival.ip)
    own = members(data) if under or arrival.envelope.integrations else {}
    if under:
        changes["context"] = {**under, **(members(own["context"]) if context else {})}
    if arrival.envelope.integrations:
        inner = members(own["integrations"]) if event.get("integrations") else {}
        changes["integrations"] = {**arrival.envelope.integrations, **inner}


def _bound_consent(changes: dict[str, object], data: bytes, context: dict[str, Any], arrival: Arrival) -> None:
    """Say what somebody may agree to whom nobody has asked who they are."""
    held: Any = changes.get("context") or (members(members(data)["context"]) if context else {})
    said = consent.SEPARATE if arrival.may_consent else consent.PLAIN
    changes["context"] = {**held, consent.BY_CLIENT: said}


def _too_large(data: bytes) -> bool:
    """What only serves the transport is not counted, but it is bounded too."""
    if len(data) <= MAX_BYTES:
        return False
    return len(data) > MAX_BYTES + TRANSPORT_BYTES or size_without_transport(data) > MAX_BYTES


def _changed(data: bytes, changes: dict[str, object]) -> bytes:
    changed = splice(data, changes)
    if _too_large(changed):
        raise Invalid("event_too_large", f"the event with the batch's context is larger than {MAX_BYTES} bytes")
    return changed


def _shown_id(data: bytes) -> str | None:
    """The message id of a rejected event, as far as there is one to show."""
    try:
        sent = _NAMED.decode(data).messageId
    except (msgspec.MsgspecError, RecursionError):
        return None
    return sent[:MAX_MESSAGE_ID] if isinstance(sent, str) else None
