"""What Postgres cannot store is taken out of the JSON text before anything reads it."""

import re

from perennial.gateway.tracking.refusal import Refusal

_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # half of one
    rb"|\\u0000"
    rb"|\\.",  # any other escape, so that an escaped backslash never hides or fakes one
    re.DOTALL,
)
_HALF = 6
_BOM = b"\xef\xbb\xbf"


def clean(text: bytes) -> bytes:
    """Drop NUL characters and replace lone surrogates by U+FFFD; every other byte stays as it was sent.

    A byte order mark, which .NET and PowerShell write, goes too. Raises Refusal when the text is not UTF-8.
    """
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, "invalid_json", f"body is not UTF-8 (byte {error.start})") from error
    text = text.removeprefix(_BOM)
    return _ESCAPE.sub(_replacement, text) if _SUSPECT.search(text) else text


def _replacement(match: re.Match[bytes]) -> bytes:
    found = match.group()
    if found == b"\\u0000":
        return b""
    return b"\\ufffd" if len(found) == _HALF else found
