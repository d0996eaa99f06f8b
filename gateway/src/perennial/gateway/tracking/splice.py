"""Change some members of a JSON object and leave the bytes of all others as they were sent."""

from collections.abc import Mapping

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
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
