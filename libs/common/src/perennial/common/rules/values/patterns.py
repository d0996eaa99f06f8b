"""Patterns: the part of regular expressions that RE2 and Postgres read alike, neither of which goes back in a text.

Read by one grammar and written out again plainly: what engines understand differently (classes by locale, flags, what
`.` and `$` make of a new line) never reaches them.
"""

from collections.abc import Iterable, Iterator
from string import ascii_letters, ascii_lowercase, ascii_uppercase, punctuation
from typing import Final, NamedTuple

LONGEST, LARGEST, DEEPEST, MOST_TIMES = 200, 500, 10, 100
MEMBERS = 8  # of a class are as dear as a character: RE2 spells them out byte by byte, wherever the class is repeated

_SETS: Final = {"d": "0-9", "w": "0-9A-Z_a-z", "s": "\t-\r "}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_ESCAPED: Final = frozenset(punctuation) - {"_"}
_SPECIAL: Final = frozenset("\\^$.|?*+()[{")
_IGNORES_CASE: Final = "(?i)"


class TooLargeError(ValueError):
    """A pattern of too many states."""


class _Piece(NamedTuple):
    """A part of a pattern: as the engines get it, how many states it takes, and whether it looks at the ends."""

    written: str
    size: int
    anchored: bool = False


def portable(pattern: str) -> str:
    r"""The pattern as both engines read it.

    There are literals, `.` `[a-z]` `[^a-z]` `\d` `\w` `\s` (ASCII; `\D` `\W` `\S` the opposite), `^` `$` (of the whole
    text), groups, `|`, `*` `+` `?` `{m,n}`, and in front `(?i)` for either case of A to Z. Raises ValueError.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    folds = pattern.startswith(_IGNORES_CASE)
    read = _Pattern(pattern, len(_IGNORES_CASE) if folds else 0, folds=folds)
    whole = read.alternatives(0)
    if read.at < len(pattern):
        raise ValueError("closes a group that is not open: for the character write \\)")
    return whole.written


class _Pattern:
    """What is read, up to where."""

    def __init__(self, text: str, at: int, *, folds: bool) -> None:
        self._text, self.at, self._folds = text, at, folds

    def _next(self) -> str:
        return self._text[self.at] if self.at < len(self._text) else ""

    def _take(self, what: str) -> bool:
        found = self._text.startswith(what, self.at)
        self.at += len(what) if found else 0
        return found

    def alternatives(self, depth: int) -> _Piece:
        """Up to the end, or to the bracket that closes the group."""
        if depth > DEEPEST:
            raise ValueError(f"must be at most {DEEPEST} groups deep")
        found = [self._sequence(depth)]
        while self._take("|"):
            found.append(self._sequence(depth))
        return _sized("|".join(one.written for one in found), sum(one.size for one in found), found)

    def _sequence(self, depth: int) -> _Piece:
        found = []
        while self._next() not in {"", "|", ")"}:
            found.append(self._repeated(depth))
        if not found:
            raise ValueError("has an empty alternative or group: for what may be missing write ?")
        return _sized("".join(one.written for one in found), sum(one.size for one in found), found)

    def _repeated(self, depth: int) -> _Piece:
        piece, start = self._atom(depth), self.at
        most = self._times()
        if self.at == start:
            return piece
        if piece.anchored:
            raise ValueError("repeats what holds at the beginning or the end alone")
        if self._next() in set("*+?{"):
            raise ValueError("repeats a repetition: put the inner one into a group")
        return _sized(piece.written + self._text[start : self.at], piece.size * most, [piece])

    def _times(self) -> int:
        """How often what stands before it is written out."""
        for sign in "*+?":
            if self._take(sign):
                return 2
        if not self._take("{"):
            return 1
        least = self._number()
        most = least
        if self._take(","):
            most = least + 1 if self._next() == "}" else self._number()
        if not self._take("}") or most < max(least, 1):
            raise ValueError("has a { that is no repetition such as {2,5}: for the character write \\{")
        return most

    def _number(self) -> int:
        start = self.at
        while self._next() in set("0123456789"):
            self.at += 1
        said = self._text[start : self.at]
        if not said or len(said) > 3 or int(said) > MOST_TIMES:
            raise ValueError(f"has a {{ without a number up to {MOST_TIMES}: for the character write \\{{")
        return int(said)

    def _atom(self, depth: int) -> _Piece:
        char = self._next()
        self.at += 1
        match char:
            case "^" | "$":
                return _Piece(char, 1, anchored=True)
            case ".":
                return _Piece(".", 1)
            case "(":
                return self._group(depth)
            case "[":
                return self._class()
            case "\\":
                return self._escape()
        if char in _SPECIAL:
            raise ValueError(f"has nothing to repeat before {char}: for the character write \\{char}")
        return self._literal(char)

    def _group(self, depth: int) -> _Piece:
        if self._next() == "?" and not self._take("?:"):
            raise ValueError("has a group (?…: of these there is (?: and, in front of the whole, (?i)")
        inner = self.alternatives(depth + 1)
        if not self._take(")"):
            raise ValueError("has a group that is not closed: for the character write \\(")
        return inner._replace(written=f"(?:{inner.written})")

    def _escape(self) -> _Piece:
        name = self._next()
        self.at += 1
        if name.lower() in _SETS:
            return _Piece(f"[{'^' if name.isupper() else ''}{_SETS[name.lower()]}]", 1)
        return self._literal(self._escaped(name))

    def _escaped(self, name: str) -> str:
        if name in _CONTROLS:
            return _CONTROLS[name]
        if not name or name not in punctuation:
            raise ValueError(f"has \\{name}, which is none of \\d \\w \\s \\t \\n \\r \\f \\v nor a sign")
        return name

    def _literal(self, char: str) -> _Piece:
        if self._folds and char in ascii_letters:
            return _Piece(f"[{char.upper()}{char.lower()}]", 1)
        return _Piece(_spelled(char), 1)

    def _class(self) -> _Piece:
        sign = "^" if self._take("^") else ""
        members: list[str] = []
        while not self._take("]"):
            members.append(self._member())
        if not members:
            raise ValueError("has an empty []: for the character write \\[")
        return _Piece(f"[{sign}{''.join(members)}]", 1 + len(members) // MEMBERS)

    def _member(self) -> str:
        """A character, a range, or one of the sets."""
        if self._next() == "\\" and self._text[self.at + 1 : self.at + 2] in _SETS:
            self.at += 2
            return _SETS[self._text[self.at - 1]]
        first = last = self._one()
        if self._next() == "-" and self._text[self.at + 1 : self.at + 2] != "]":
            self.at += 1
            last = self._one()
        if last < first:
            raise ValueError(f"has a range from {first} back to {last}")
        return "".join(_range(*limits) for limits in [(first, last), *(self._folded(first, last))])

    def _one(self) -> str:
        char = self._next()
        if self._take("[:") or not char:
            raise ValueError("has a [ that is not closed, or [: in it: for the character write \\[")
        self.at += 1
        if char != "\\":
            return char
        self.at += 1
        return self._escaped(self._text[self.at - 1 : self.at])

    def _folded(self, first: str, last: str) -> Iterator[tuple[str, str]]:
        """The letters of a range in the other case."""
        for letters in (ascii_lowercase, ascii_uppercase) if self._folds else ():
            within = [letter for letter in letters if first <= letter <= last]
            if within:
                yield within[0].swapcase(), within[-1].swapcase()


def _sized(written: str, size: int, parts: Iterable[_Piece]) -> _Piece:
    if size > LARGEST:
        raise TooLargeError(f"is too large: repetitions written out may take {LARGEST} characters")
    return _Piece(written, size, any(part.anchored for part in parts))


def _range(first: str, last: str) -> str:
    return _spelled(first) if first == last else f"{_spelled(first)}-{_spelled(last)}"


def _spelled(char: str) -> str:
    return f"\\{char}" if char in _ESCAPED else char
