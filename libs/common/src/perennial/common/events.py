"""CloudEvents 1.0 on NATS, binary mode: attributes are `ce-` headers, the body is the event."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from opentelemetry import propagate

if TYPE_CHECKING:
    from perennial.common.contracts.base import Event

SAFE = "!#$&'()*+,-./:;<=>?@[]\\^_`{|}~"  # printable ASCII but space, quote and percent
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def encode_value(value: str) -> str:
    """Percent-encode what the binding asks for: space, quote, percent, and all outside U+0021..U+007E."""
    return quote(value, safe=SAFE)


def decode_value(value: str) -> str:
    """The value of a `ce-` header. Raises ValueError on a broken escape or invalid UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if _BAD_ESCAPE.search(value):
        msg = f"broken percent escape in {value!r}"
        raise ValueError(msg)
    return unquote_to_bytes(value).decode("utf-8", "strict")


def headers_for(
    event_type: str, event_id: str, time: datetime, source: str, subject: str | None = None
) -> dict[str, str]:
    """The headers of one CloudEvent, with the current trace in `traceparent`."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": encode_value(event_id),
        "ce-source": encode_value(source),
        "ce-type": event_type,
        "ce-time": time.isoformat().replace("+00:00", "Z"),
        "ce-datacontenttype": "application/json",
    }
    if subject:
        headers["ce-subject"] = encode_value(subject)
    propagate.inject(headers)
    if "traceparent" in headers:
        headers["ce-traceparent"] = headers["traceparent"]
    return headers


def attributes(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The CloudEvent's attributes; header names are compared without regard to case."""
    return {
        name.lower()[3:]: decode_value(value)
        for name, value in (headers or {}).items()
        if name.lower().startswith("ce-")
    }


def encode(event: "Event") -> tuple[dict[str, str], bytes]:
    """The headers and the body of a fact."""
    headers = headers_for(event.subject, str(event.id), event.occurred_at, f"/services/{event.producer()}")
    return headers, event.model_dump_json().encode()
