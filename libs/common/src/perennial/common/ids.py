"""Identifiers of rows and events."""

from hashlib import blake2b
from uuid import UUID

import msgspec
from uuid_utils import uuid7 as _uuid7

PARTITIONS = 16
_encode = msgspec.json.Encoder().encode
_read, _BYTES = msgspec.msgpack.Decoder(UUID).decode, b"\xc4\x10"  # sixteen bytes, for a tenth of what UUID(…) takes


def uuid7() -> UUID:
    """A new time-ordered id (RFC 9562, version 7)."""
    return _read(_BYTES + _uuid7().bytes)


def uuid7_text() -> str:
    """The same as text, for a fraction of the time."""
    return str(_uuid7())


def spelled(value: UUID) -> str:
    """As str() spells it, for a tenth of the time."""
    return _encode(value)[1:-1].decode()


def digest_uuid(*parts: str) -> UUID:
    """The id of something that names itself: the same parts give the same id for ever."""
    joined = "\x00".join(parts).encode()
    return _read(_BYTES + blake2b(joined, digest_size=16).digest())


def partition_of(via: UUID) -> int:
    """The partition of EVENTS (0..15) in which everything said about `via` travels."""
    return via.int % PARTITIONS
