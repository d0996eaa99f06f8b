"""Look-ups by an identifier that is masked for whoever asks: many of them would read it, guess by guess."""

from urllib.parse import parse_qsl

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.identifiers import KINDS

PARAMETER = "identifier"


def is_probe(principal: Principal, query: bytes) -> bool:
    """Whether a query, read as the services read it, names an identifier that the principal does not see in clear."""
    if not query or masks.sees_all(principal):
        return False
    said = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return any(name == PARAMETER and not _sees(principal, value) for name, value in said)


def _sees(principal: Principal, identifier: str) -> bool:
    """What is no identifier at all is seen by nobody; an opaque id that is a phone is a phone."""
    kind, _, value = identifier.partition(":")
    return kind in KINDS and masks.sees(principal, kind) and masks.text(principal, value) == value
