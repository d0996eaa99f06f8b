"""Identifiers of rows and events."""

import hashlib
from uuid import UUID, SafeUUID

import msgspec
from uuid_utils import uuid7 as _uuid7

PARTITIONS = 16
_UNKNOWN = SafeUUID.unknown
_encode = msgspec.json.Encoder().encode


def uuid7() -> UUID:
    """A new time-ordered id (RFC 9562, version 7)."""
    return _made(_uuid7().int)


def uuid7_text() -> str:
    """The same as text, for a fraction of the time."""
    return str(_uuid7())


def spelled(value: UUID) -> str:
    """As str() spells it, for a tenth of the time."""
    return _encode(value)[1:-1].decode()


def digest_uuid(*parts: str) -> UUID:
    """The id of something that names itself: the same parts give the same id for ever."""
    joined = "\x00".join(parts).encode()
    return _made(int.from_bytes(hashlib.blake2b(joined, digest_size=16).digest()))


def _made(number: int) -> UUID:
    """As UUID(int=…), which takes three times as long to look at the ways in which it may be called."""
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made


def partition_of(via: UUID) -> int:
    """The partition of EVENTS (0..15) in which everything said about `via` travels."""
    return via.int % PARTITIONS
