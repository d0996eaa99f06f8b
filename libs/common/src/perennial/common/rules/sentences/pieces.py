"""What sentences are made of, read at a place: templates, lists, names, numbers, dates, durations, windows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

from perennial.common.rules.sentences.phrases import PATH, Words

Found = Iterator[tuple[Any, int]]


class Read(Protocol):
    """Every way to read the text at a place: pairs of a value and the place after it."""

    def __call__(self, at: int, /) -> Iterable[tuple[Any, int]]: ...


_slot = re.compile(r"\{([a-z]+)\}")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+Z)?")
_QUOTED = re.compile(r"“((?:[^”]|””)*)”")
_SUFFIXES = ("D", "H", "M", "S")


def _first_of_each(found: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Of the readings that end at one place the first: two are never needed, and many would be very many."""
    ends: dict[int, Any] = {}
    for value, end in found:
        ends.setdefault(end, value)
    return [(value, end) for end, value in ends.items()]


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[str, ...]:
    """Literal, slot, literal, slot, …, literal."""
    return tuple(_slot.split(template))


class Pieces:
    """A text and its language; each method reads one kind of thing."""

    def __init__(self, words: Words, text: str) -> None:
        self.words, self.text = words, text
        self.furthest = 0
        self.known: dict[tuple[str, int], list[tuple[Any, int]]] = {}

    def once(self, name: str, at: int, read: Read) -> Iterable[tuple[Any, int]]:
        """What was read at a place before is not read again."""
        if (name, at) not in self.known:
            self.known[name, at] = _first_of_each(read(at))
        return self.known[name, at]

    def told(self, template: str, at: int, **slots: Read) -> Found:
        """A template with what stands in its slots."""
        return self.filled(_pieces(template), at, slots)

    def filled(self, pieces: tuple[str, ...], at: int, slots: Mapping[str, Read]) -> Found:
        literal, *rest = pieces
        if not self.text.startswith(literal, at):
            return
        at += len(literal)
        self.furthest = max(self.furthest, at)
        if not rest:
            yield {}, at
            return
        name, *others = rest
        for value, middle in slots[name](at):
            for found, end in self.filled(tuple(others), middle, slots):
                yield {name: value, **found}, end

    def joined(self, at: int, joint: str, read: Read) -> Found:
        """One or more with a joint between them, the fewest first."""
        made = _first_of_each(([first], end) for first, end in read(at))
        while made:
            yield from made
            made = _first_of_each(
                ([*parts, more], last)
                for parts, end in made
                if self.text.startswith(joint, end)
                for more, last in read(end + len(joint))
            )

    def bounds(self, at: int) -> Found:
        def one(start: int) -> Found:
            for name, template in self.words.bounds.items():
                for found, end in self.told(template, start, x=self.number):
                    yield (name, found["x"]), end

        for limits, end in self.joined(at, self.words.bound_join, one):
            yield dict(limits), end

    def operand(self, operator: str) -> Read:
        if operator in {"before", "after"}:
            return self.date
        if operator in {"within_last", "within_next"}:
            return self.span
        if operator in {"in", "not_in"}:
            return lambda at: self.joined(at, self.words.comma, self.literal)
        return self.literal

    def literal(self, at: int) -> Found:
        yield from self.quoted(at)
        yield from self.number(at)
        for place, said in enumerate(self.words.truth):
            if self.text.startswith(said, at):
                yield place == 0, at + len(said)

    def token(self, pattern: re.Pattern[str], at: int) -> Iterator[re.Match[str]]:
        if found := pattern.match(self.text, at):
            self.furthest = max(self.furthest, found.end())
            yield found

    def quoted(self, at: int) -> Found:
        for found in self.token(_QUOTED, at):
            yield found[1].replace("””", "”"), found.end()

    def path(self, at: int) -> Found:
        for found in self.token(PATH, at):
            yield found[0], found.end()
        yield from self.quoted(at)

    def number(self, at: int) -> Found:
        for found in self.token(_NUMBER, at):
            yield float(found[0]) if "." in found[0] else int(found[0]), found.end()

    def date(self, at: int) -> Found:
        for found in self.token(_DATE, at):
            yield found[0], found.end()

    def span(self, at: int) -> Found:
        """`1 day 2 hours`, and what begins it."""
        said, parts = at, dict.fromkeys(_SUFFIXES, "")
        for suffix, units in zip(_SUFFIXES, self.words.units, strict=True):
            unit = "|".join(re.escape(word) for word in sorted(set(units), key=len, reverse=True))
            space = " " if said > at else ""
            if found := re.compile(f"{space}([0-9]+) (?:{unit})").match(self.text, said):
                said, parts[suffix] = found.end(), f"{found[1]}{suffix}"
                time = "".join(parts[name] for name in _SUFFIXES[1:])
                yield f"P{parts['D']}{'T' if time else ''}{time}", said

    def calendar(self, at: int) -> Found:
        words = self.words
        for (kind, unit), said in words.calendar.items():
            if self.text.startswith(said, at):
                yield {kind: unit}, at + len(said)

        def units(start: int) -> Found:
            for unit, said in words.calendar_units.items():
                if self.text.startswith(said, start):
                    yield unit, start + len(said)

        for kind, template in words.calendars.items():
            for found, end in self.told(template, at, n=self.number, units=units):
                yield {kind: found["units"], "count": found["n"]}, end
