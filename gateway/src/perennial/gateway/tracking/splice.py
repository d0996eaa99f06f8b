"""The members of a JSON object as they were sent: some changed and all others left, or the one that is at fault."""

from collections.abc import Mapping

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_UNREAD = (msgspec.MsgspecError, ValueError, RecursionError)
_LEVELS = 8
_LONGEST_NAME = 100
_PUNCTUATION = len('"": , ')  # quotes, colon, comma, and the spaces that Python writes
_TRANSPORT = ("writeKey", "sentAt", "_metadata")


def members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of an object, unread."""
    return _MEMBERS.decode(raw)


def splice(raw: bytes | msgspec.Raw, changes: Mapping[str, object]) -> bytes:
    """The object with some members replaced or added."""
    return msgspec.json.encode({**members(raw), **changes})


def size_without_transport(raw: bytes | msgspec.Raw) -> int:
    """The bytes of an event, not counting the members that only serve its transport."""
    found = members(raw)
    transport = sum(len(bytes(found[name])) + len(name) + _PUNCTUATION for name in _TRANSPORT if name in found)
    return len(bytes(raw)) - transport


def unreadable(raw: bytes | msgspec.Raw) -> str:
    """Where the value is that cannot be read, as far in as is looked: `context.device.id`; empty: it is the whole."""
    path: list[str] = []
    while len(path) < _LEVELS and (found := _at_fault(raw)) is not None:
        path.append(found[0][:_LONGEST_NAME])
        raw = found[1]
    return ".".join(path)


def _at_fault(raw: bytes | msgspec.Raw) -> tuple[str, msgspec.Raw] | None:
    try:
        inner = members(raw).items() if bytes(raw)[:1] == b"{" else enumerate(_ITEMS.decode(raw))
    except _UNREAD:
        return None
    for name, value in inner:
        try:
            _ANY.decode(value)
        except _UNREAD:
            return str(name), value
    return None
