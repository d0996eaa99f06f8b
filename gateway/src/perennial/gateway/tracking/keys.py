"""Where a request carries its write key: the first place that has one wins."""

import base64
import binascii
import functools
from urllib.parse import parse_qs

import msgspec


class _Keyed(msgspec.Struct):
    writeKey: str | None = None  # noqa: N815 - the protocol's spelling


LONGEST_CACHED = 256
_KEYED = msgspec.json.Decoder(_Keyed)


def from_headers(headers: dict[bytes, bytes]) -> str | None:
    """The user name of Basic authentication, else `X-Write-Key` up to its first colon."""
    authorization = headers.get(b"authorization", b"")
    found = _known(authorization) if len(authorization) <= LONGEST_CACHED else basic(authorization)
    return found or _before_colon(headers.get(b"x-write-key", b""))


def basic(authorization: bytes) -> str | None:
    """The user name of a Basic header; padding and the colon may be missing."""
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    encoded = encoded.strip().rstrip(b"=")
    try:
        return _before_colon(base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True))
    except binascii.Error:
        return None


# A client sends the same header with every request.
_known = functools.lru_cache(maxsize=4096)(basic)


def from_event(raw: bytes | msgspec.Raw) -> str | None:
    """The `writeKey` in an event of a batch."""
    try:
        return _KEYED.decode(raw).writeKey or None
    except msgspec.MsgspecError:
        return None


def from_query(query: bytes) -> str | None:
    """`writeKey` of the query string: beacons cannot set headers."""
    if b"writeKey" not in query:
        return None
    try:
        found = parse_qs(query.decode("latin-1"), max_num_fields=50).get("writeKey")
    except ValueError:  # more fields than anybody needs
        return None
    return found[0] if found else None


def _before_colon(value: bytes) -> str | None:
    return value.partition(b":")[0].decode("latin-1").strip() or None
