"""A request's JSON around its events, which stay raw slices of the body."""

from typing import Any, TypeVar

import msgspec

from perennial.gateway.tracking.depth import MAX_DEPTH, too_deep
from perennial.gateway.tracking.refusal import Refusal

MAX_EVENTS = 2_500
MAX_REPEATED_BYTES = 4 * 1024 * 1024  # what is said once and then written into every event
T = TypeVar("T")


class Envelope(msgspec.Struct):
    """What a request says about all its events; each event is judged on its own."""

    events: list[msgspec.Raw]
    sent_at: str | None = None
    write_key: str | None = None
    context: dict[str, msgspec.Raw] | None = None
    integrations: dict[str, msgspec.Raw] | None = None
    imported: bool = False


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw] | None = None
    sentAt: Any = None  # noqa: N815 - the protocol's spelling
    writeKey: Any = None  # noqa: N815
    context: dict[str, msgspec.Raw] | None = None
    integrations: dict[str, msgspec.Raw] | None = None


class _Single(msgspec.Struct):
    sentAt: Any = None  # noqa: N815
    writeKey: Any = None  # noqa: N815


_BATCH = msgspec.json.Decoder(_Batch)
_SINGLE = msgspec.json.Decoder(_Single)
_ANY = msgspec.json.Decoder(dict[str, Any])
_FLAGS = {b"true": True, b"false": False, b"null": False}


def read_batch(body: bytes) -> Envelope:
    """The envelope of a batch. Raises Refusal for what concerns the whole request."""
    found = _decode(_BATCH, body)
    if found.batch is None:
        raise Refusal(400, "invalid_batch", "batch is required and must be an array of events")
    if len(found.batch) > MAX_EVENTS:
        raise Refusal(413, "too_many_events", f"batch has {len(found.batch)} events, {MAX_EVENTS} are allowed")
    context = found.context or {}
    _check_shared("context", context, len(found.batch))
    _check_shared("integrations", found.integrations or {}, len(found.batch))
    return Envelope(
        events=found.batch,
        sent_at=_text(found.sentAt),
        write_key=_text(found.writeKey),
        imported=_flag(context.pop("import", None)),
        context=context or None,
        integrations=found.integrations or None,
    )


def read_single(body: bytes) -> Envelope:
    """The envelope of a request that is one event."""
    found = _decode(_SINGLE, body)
    return Envelope(events=[msgspec.Raw(body)], sent_at=_text(found.sentAt), write_key=_text(found.writeKey))


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_shape(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, "invalid_json", f"body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise Refusal(400, "too_deep", "body is nested too deeply") from error


def _wrong_shape(said: str) -> Refusal:
    if "$.batch" in said:
        return Refusal(400, "invalid_batch", "batch must be an array of events")
    for field in ("context", "integrations"):
        if f"$.{field}" in said:
            return Refusal(400, f"invalid_{field}", f"{field} must be an object")
    return Refusal(400, "invalid_json", "body is not a JSON object")


def _check_shared(field: str, shared: dict[str, msgspec.Raw], events: int) -> None:
    """What becomes a part of every event must be as sound as an event, and not too much for all of them together."""
    if not shared:
        return
    encoded = msgspec.json.encode(shared)
    if len(encoded) * events > MAX_REPEATED_BYTES:
        raise Refusal(413, f"{field}_too_large", f"{field} of the batch, repeated in {events} events, is too large")
    try:
        unsound = too_deep(_ANY.decode(encoded), MAX_DEPTH - 1)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refusal(400, f"invalid_{field}", f"{field} cannot be read: {error}") from error
    if unsound:
        raise Refusal(400, f"invalid_{field}", f"{field} is nested too deeply")


def _flag(raw: msgspec.Raw | None) -> bool:
    found = _FLAGS.get(bytes(raw)) if raw is not None else False
    if found is None:
        raise Refusal(400, "invalid_context", "context.import must be true or false")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
