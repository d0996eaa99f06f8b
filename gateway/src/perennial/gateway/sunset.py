"""Routes that will go: when they were deprecated, when they end, and where to read about it."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple

RawHeaders = list[tuple[bytes, bytes]]


class Deprecated(NamedTuple):
    """One operation: deprecated since, gone at (both UTC), and the page that says what to do."""

    since: datetime
    sunset: datetime
    link: str


Table = Mapping[tuple[str, str], Deprecated]

# By method and template, as in the OpenAPI document, which marks them too.
DEPRECATED: Table = {}


def headers(found: Deprecated) -> RawHeaders:
    """`Deprecation` (RFC 9745), `Sunset` (RFC 8594) and the link to the page."""
    return [
        (b"deprecation", b"@%d" % int(found.since.timestamp())),
        (b"sunset", format_datetime(found.sunset, usegmt=True).encode()),
        (b"link", f'<{found.link}>; rel="sunset"; type="text/html"'.encode()),
    ]
