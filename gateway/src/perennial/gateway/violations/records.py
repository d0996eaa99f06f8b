"""What is kept of an event that broke a rule, and what its request said besides."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from perennial.common.commerce import canonical
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.events import MAX_BYTES, Arrival
from perennial.gateway.tracking.refusal import REJECTED, Rejection

RAW_BYTES = 64 * 1024
LONGEST_NAME = 200
LONGEST_MESSAGE = 1_000


class Besides(msgspec.Struct, omit_defaults=True):
    """What holds for every event of a request; an event is judged again under the same."""

    kind: str | None = None
    sent_at: str | None = None
    header_sent_at: str | None = None
    context: dict[str, msgspec.Raw] | None = None
    integrations: dict[str, msgspec.Raw] | None = None
    imported: bool = False
    ip: str | None = None
    client_side: bool = False


class Broken(NamedTuple):
    """One event that broke a rule. `position` is its index in the request, `envelope` an encoded `Besides`."""

    source_id: str
    at: datetime
    code: str
    message: str
    message_id: str | None
    type: str | None
    name: str | None
    path: str | None
    outcome: str
    raw: str
    position: int
    envelope: str | None
    whole: bool

    @property
    def stored(self) -> int:
        """The bytes of its texts, before compression."""
        return len(self.raw.encode()) + len((self.envelope or "").encode())

    @property
    def size(self) -> int:
        """Roughly the memory it takes."""
        return 500 + self.stored + len(self.message)


class Note(NamedTuple):
    """A rejection, or what a tracking plan objected to in an event that was accepted all the same."""

    rejection: Rejection
    outcome: str = REJECTED
    path: str | None = None


class _Spoken(msgspec.Struct):
    type: Any = None
    event: Any = None
    name: Any = None


_SPOKEN = msgspec.json.Decoder(_Spoken)
_BESIDES = msgspec.json.Decoder(Besides)


def of(arrival: Arrival, notes: Iterable[Note]) -> list[Broken]:
    """The records of one request's events."""
    envelope = _envelope(arrival)
    return [_record(arrival, note, envelope) for note in notes]


def arrival_of(source_id: str, received_at: datetime, envelope: str, event: bytes) -> Arrival:
    """The request of one kept event, as it was."""
    said = _BESIDES.decode(envelope)
    return Arrival(
        source_id=source_id,
        received_at=received_at,
        envelope=Envelope(
            events=[msgspec.Raw(event)],
            sent_at=said.sent_at,
            context=said.context,
            integrations=said.integrations,
            imported=said.imported,
        ),
        kind=said.kind,
        header_sent_at=said.header_sent_at,
        ip=said.ip,
        client_side=said.client_side,
    )


def _envelope(arrival: Arrival) -> str | None:
    """None when it is larger than any event may be: nothing in it can be accepted, whatever is changed."""
    said = arrival.envelope
    encoded = msgspec.json.encode(
        Besides(
            arrival.kind, said.sent_at, arrival.header_sent_at or None, said.context, said.integrations,
            said.imported, arrival.ip, arrival.client_side,
        )
    )  # fmt: skip
    return encoded.decode() if len(encoded) <= MAX_BYTES else None


def _record(arrival: Arrival, note: Note, envelope: str | None) -> Broken:
    rejection = note.rejection
    kind, name = _named(rejection.raw, arrival.kind)
    return Broken(
        source_id=arrival.source_id,
        at=arrival.received_at,
        code=rejection.code,
        message=rejection.message[:LONGEST_MESSAGE],
        message_id=rejection.message_id,
        type=kind,
        name=name,
        path=note.path,
        outcome=note.outcome,
        raw=rejection.raw[:RAW_BYTES].decode(errors="ignore").replace("\0", ""),
        position=rejection.at,
        envelope=envelope,
        whole=envelope is not None and len(rejection.raw) <= RAW_BYTES,
    )


def _named(raw: bytes, by_path: str | None) -> tuple[str | None, str | None]:
    """The type and the name of an event, as far as it says them."""
    try:
        said = _SPOKEN.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return by_path, None
    kind = by_path or _text(said.type)
    name = _text(said.event) if kind == "track" else _text(said.name)
    return kind, canonical(name)[:LONGEST_NAME] if name and kind == "track" else name


def _text(value: object) -> str | None:
    return (value.strip()[:LONGEST_NAME] or None) if isinstance(value, str) else None
