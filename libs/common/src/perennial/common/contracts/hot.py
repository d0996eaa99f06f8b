"""What the two hot contracts share: msgspec structs, because pydantic would cost a tenth of the throughput."""

from typing import Any

import msgspec

JSON = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Body(msgspec.Struct, frozen=True):
    """The parts of a tracking event that services read; all else stays in the raw body."""

    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_BODY = msgspec.json.Decoder(Body)


def read_body(raw: msgspec.Raw) -> Body:
    """The typed view of a raw body."""
    return _BODY.decode(raw)


class _Said(msgspec.Struct, frozen=True):
    properties: msgspec.Raw = msgspec.Raw(b"")


_SAID = msgspec.json.Decoder(_Said)
NOTHING = msgspec.Raw(b"{}")


def raw_properties(raw: msgspec.Raw) -> msgspec.Raw:
    """The properties of a raw body as they were written; an empty object where it has none.

    Raises msgspec.ValidationError for what is no object, as `read_body` does.
    """
    said = _SAID.decode(raw).properties
    if bytes(said).startswith(b"{"):
        return said
    read_body(raw)
    return NOTHING


def effective_traits(body: Body) -> dict[str, Any]:
    """`context.traits` overlaid by `traits` (some SDKs send only the first)."""
    hints = (body.context or {}).get("traits")
    return {**(hints if isinstance(hints, dict) else {}), **(body.traits or {})}
