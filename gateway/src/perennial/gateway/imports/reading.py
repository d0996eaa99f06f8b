"""Records of a CSV file, from an offset on: whoever reads on later begins where a record begins."""

import csv
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

Read = Callable[[int], Awaitable[bytes]]
"""The bytes of the file from an offset on, as many as there are at hand; none at its end."""

LONGEST = 256 * 1024
MOST_LINES = 200
DELIMITERS = ",;\t|"
_BLANK = re.compile(rb"\n*")


class Record(NamedTuple):
    """One record and the line (from 1) that it begins on; `fault` says why it has no cells."""

    line: int
    cells: list[str]
    fault: str | None = None


class Records:
    """Reads a UTF-8 file with plain newlines; `at` and `line` are where the next record begins."""

    def __init__(self, read: Read, delimiter: str, at: int = 0, line: int = 1) -> None:
        self._read = read
        self._delimiter = delimiter
        self.at, self.line = at, line
        self.ended = False
        self._held = b""
        self._held_at = at

    async def next(self, until: int | None = None) -> Record | None:
        """The next record that is not blank; None at the end, or where `at` has come to `until` before one begins."""
        while until is None or self.at < until:
            began, text = self.line, await self._line()
            if text is None:
                self.ended = True
                return None
            if text == b"\n":
                self._skip_blank()
                continue
            found = await self._record(began, text) if len(text) <= LONGEST else Record(began, [], _TOO_LONG)
            if found.cells or found.fault:
                return found
        return None

    async def _record(self, began: int, text: bytes) -> Record:
        """A cell in quotes may go on in the next lines; if its quotes never end, only the first line is lost."""
        after, line = self.at, self.line
        for _ in range(MOST_LINES):
            try:
                rows = list(csv.reader([text.decode()], delimiter=self._delimiter, strict=True))
                return Record(began, rows[0] if rows else [])
            except csv.Error as error:
                if "end of data" not in str(error):
                    self.at, self.line = after, line
                    return Record(began, [], str(error))
            more = await self._line()
            if more is None or len(text) + len(more) > LONGEST:
                break
            text += more
        self.at, self.line = after, line
        return Record(began, [], "a quote is opened and never closed")

    async def _line(self) -> bytes | None:
        """One line with its end, or more than `LONGEST` bytes of one that is longer; None at the end."""
        if self.at < self._held_at:  # we went back behind what is held
            self._held, self._held_at = b"", self.at
        start = self.at - self._held_at
        end = self._held.find(b"\n", start)
        while end < 0:
            searched = len(self._held)
            if searched - start > LONGEST:
                return await self._skip(self._held[start : start + LONGEST + 1])
            more = await self._read(self._held_at + searched)
            if not more:
                break
            self._held, self._held_at, start = self._held[start:] + more, self._held_at + start, 0
            end = self._held.find(b"\n")
        stop = end + 1 if end >= 0 else len(self._held)
        if stop == start:
            return None
        self.at, self.line = self._held_at + stop, self.line + 1
        return self._held[start:stop]

    def _skip_blank(self) -> None:
        """Behind the blank lines that are at hand: a file may have a hundred million of them."""
        start = self.at - self._held_at
        blank = _BLANK.match(self._held, start)
        lines = blank.end() - start if blank else 0
        self.at, self.line = self.at + lines, self.line + lines

    async def _skip(self, begun: bytes) -> bytes:
        at = self._held_at + len(self._held)
        self.line += 1
        while part := await self._read(at):
            end = part.find(b"\n")
            if end >= 0:
                self.at, self._held, self._held_at = at + end + 1, part[end + 1 :], at + end + 1
                return begun
            at += len(part)
        self.at, self._held, self._held_at = at, b"", at
        return begun


_TOO_LONG = f"the record is longer than {LONGEST // 1024} KiB"


def delimiter_of(head: bytes) -> str:
    """What stands most often between the names of the columns, outside quotes."""
    line = head.partition(b"\n")[0].decode(errors="replace")
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=bare.count)
