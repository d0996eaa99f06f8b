"""What Postgres cannot store is taken out of the JSON text before anything reads it."""

import re

from perennial.gateway.tracking.refusal import Refusal

_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_BROKEN = re.compile(rb"\\u(?![0-9a-fA-F]{4})")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = re.compile(b"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
_HELD = b"\xff"  # stands for an escaped backslash, which would hide or fake an escape; in no UTF-8 text
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
    return _without(text) if _SUSPECT.search(text) else text


def _without(text: bytes) -> bytes:
    held = text.replace(b"\\\\", _HELD)
    if _BROKEN.search(held):  # taking something out could make it whole
        raise Refusal(400, "invalid_json", "body is not valid JSON: \\u without four hexadecimal digits")
    return _HALF.sub(rb"\\ufffd", held).replace(b"\\u0000", b"").replace(_HELD, b"\\\\")
