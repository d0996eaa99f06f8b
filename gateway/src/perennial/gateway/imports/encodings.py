"""Which characters the bytes of a file are: what it says itself, what somebody says, or what fits."""

import codecs
import io
from collections.abc import AsyncIterator
from typing import BinaryIO

from perennial.common.problems import Unprocessable

STATED = {
    "utf-8": "utf-8-sig",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "windows-1252": "cp1252",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
PART = 1 << 20


def detected(file: BinaryIO) -> str:
    """The name of the encoding among `STATED`. Raises Unprocessable when none of those that can be told fits."""
    file.seek(0)
    head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    for name in ("utf-8", "gb18030"):
        if _fits(file, name):
            return name
    raise Unprocessable(
        "encoding: the file is neither UTF-8, GBK nor UTF-16 with a byte order mark; say what it is",
        code="unknown_encoding",
        pointer="query/encoding",
    )


def _fits(file: BinaryIO, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(STATED[name])()
    file.seek(0)
    try:
        while part := file.read(PART):
            decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


async def transcoded(file: BinaryIO, name: str) -> AsyncIterator[bytes]:
    """The file as UTF-8 without a mark and with plain newlines. Raises Unprocessable where it is something else."""
    file.seek(0)
    text = io.TextIOWrapper(file, STATED[name], newline=None)
    done = 0
    try:
        while part := text.read(PART):
            done += len(part)
            yield part.removeprefix("\ufeff").encode() if done == len(part) else part.encode()
    except UnicodeError as error:
        raise Unprocessable(
            f"encoding: behind character {done} the file is not {name}",
            code="wrong_encoding",
            pointer="query/encoding",
        ) from error
    finally:
        text.detach()
