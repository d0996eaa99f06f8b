"""From a sentence back to the rule that it describes: the templates of `phrases`, read the other way round."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from perennial.common.rules.grammar.nodes import STAGE, TAGS, Rule
from perennial.common.rules.grammar.parsing import MOST_NODES, RuleError, parse
from perennial.common.rules.sentences.phrases import WORDS, Language, Words
from perennial.common.rules.sentences.pieces import Found, Pieces, Read

LONGEST = 20_000

_Template = tuple[str, Mapping[str, Read], str, Callable[[dict[str, Any]], object]]

_UUID = re.compile(r"[0-9a-f-]{36}")


def parse_sentence(sentence: str, language: Language = "en", *, segments: Mapping[str, UUID] | None = None) -> Rule:
    """The rule whose `describe` is this sentence; `segments` gives segments' ids by name. Raises RuleError.

    What prints alike is one rule: a group of one is its only part, at least one occurrence is that it happened.
    """
    if len(sentence) > LONGEST:
        raise RuleError("", f"must have at most {LONGEST} characters")
    words = WORDS[language]
    before, after = words.sentence.split("{x}")
    said = sentence.strip()
    if not said.startswith(before) or not said.endswith(after):
        raise RuleError("", f"must be a sentence such as {words.sentence.format(x='…')}")
    text = said.removeprefix(before).removesuffix(after)
    reader = _Reader(words, text, segments or {})
    try:
        for document, end in reader.rule(0):
            if end == len(text):
                return parse(document)
    except RecursionError:
        raise RuleError("", f"must be nested less deeply, and have at most {MOST_NODES} conditions") from None
    raise RuleError("", f"cannot be read from “{text[reader.furthest :][:40]}” on")


class _Reader(Pieces):
    """The grammar."""

    def __init__(self, words: Words, text: str, segments: Mapping[str, UUID]) -> None:
        super().__init__(words, text)
        self.segments = segments

    def rule(self, at: int) -> Iterable[tuple[Any, int]]:
        return self.once("rule", at, self._rule)

    def _rule(self, at: int) -> Found:
        for first, end in self.part(at):
            yield first, end
        for name, joint in (("all", self.words.conjunction), ("any", self.words.disjunction)):
            for parts, end in self.joined(at, joint, self.part):
                if len(parts) > 1:
                    yield {name: parts}, end

    def part(self, at: int) -> Iterable[tuple[Any, int]]:
        return self.once("part", at, self._part)

    def _part(self, at: int) -> Found:
        words = self.words
        for found, end in self.told(words.group, at, x=self.rule):
            yield found["x"], end
        for found, end in self.told(words.negation, at, x=self.rule):
            yield {"not": found["x"]}, end
        for _, end in self.told(words.everyone, at):
            yield {"everyone": True}, end
        for found, end in self.told(words.segment, at, x=self.segment):
            yield {"segment": found["x"]}, end
        for found, end in self.told(words.bucket, at, salt=self.quoted, x=self.bounds):
            yield {"random": {"salt": found["salt"], **found["x"]}}, end
        yield from self.shorthand(at)
        yield from self.condition(at, "trait")
        yield from self.element(at)
        yield from self.event(at)
        yield from self.sequence(at)

    def shorthand(self, at: int) -> Found:
        words = self.words
        for template, path, operator in (
            (words.tag[0], TAGS, "is"),
            (words.tag[1], TAGS, "is_not"),
            (words.stage, STAGE, "is"),
        ):
            for found, end in self.told(template, at, x=self.quoted):
                yield {"trait": path, operator: found["x"]}, end

    def condition(self, at: int, subject: str) -> Found:
        for template, slots, operator, operand in self.conditions():
            for found, end in self.told(template, at, it=self.path, **slots):
                yield {subject: found.pop("it"), operator: operand(found)}, end

    def conditions(self) -> list[_Template]:
        """Every template of a condition, what stands in its slots, its operator, and how the operand is told."""
        words, plain = self.words, _operand
        numbers = dict.fromkeys(("km", "latitude", "longitude"), self.number)
        return [
            *((template, {}, "exists", lambda _, known=n == 0: known) for n, template in enumerate(words.known)),
            *((template, {"x": self.operand(name)}, name, plain) for name, template in words.operators.items()),
            *((template, {"x": self.span}, name, plain) for name, template in words.ago.items()),
            (words.in_calendar, {"x": self.calendar}, "within", plain),
            (words.between[0], {"x": self.number, "y": self.number}, "between", lambda said: [said["x"], said["y"]]),
            (words.between[1], {"x": self.date, "y": self.date}, "between", lambda said: [said["x"], said["y"]]),
            (words.birthday[0], {}, "birthday_within", lambda _: 0),
            (words.birthday[1], {"n": self.number}, "birthday_within", lambda said: said["n"]),
            (words.near, numbers, "near", lambda said: said),
        ]

    def element(self, at: int) -> Found:
        words = self.words
        for name, template in zip(("any_of", "none_of"), words.element, strict=True):
            for found, end in self.told(template, at, it=self.path, x=self.several):
                yield {name: found["it"], "where": found["x"]}, end

    def several(self, at: int) -> Found:
        def one(start: int) -> Found:
            return self.condition(start, "property")

        for condition, end in one(at):
            yield [condition], end
        for found, end in self.told(self.words.group, at, x=lambda n: self.joined(n, self.words.element_join, one)):
            yield found["x"], end

    def where(self, at: int) -> Iterable[tuple[Any, int]]:
        def one(start: int) -> Found:
            yield from self.condition(start, "property")
            yield from self.element(start)

        return self.once("where", at, lambda start: self.joined(start, self.words.where_join, one))

    def event(self, at: int) -> Found:
        words = self.words
        for template, count in ((words.happened, {}), (words.never, {"count": {"eq": 0}})):
            for found, end in self.told(template, at, event=self.occurrence):
                yield {**found["event"], **count}, end
        for template in dict.fromkeys(words.count):
            for found, end in self.told(template, at, event=self.occurrence, x=self.bounds):
                yield {**found["event"], "count": found["x"]}, end
        for name, template in words.measures.items():
            for found, end in self.told(template, at, event=self.occurrence, of=self.path, x=self.bounds):
                yield {**found["event"], name: {"property": found["of"], **found["x"]}}, end
        for name, template in words.moments.items():
            yield from self.moment(at, name, template)

    def moment(self, at: int, name: str, template: str) -> Found:
        words = self.words
        times: list[tuple[str, str, Read]] = [
            *((operator, words.operators[operator], self.date) for operator in ("before", "after")),
            *((operator, said, self.span) for operator, said in words.ago.items()),
            ("within_last", words.operators["within_last"], self.span),
            ("within", words.in_calendar, self.calendar),
        ]

        def it(start: int) -> Found:
            for found, end in self.told(template, start, event=self.occurrence):
                yield found["event"], end

        for operator, said, read in times:
            for found, end in self.told(said, at, it=it, x=read):
                yield {**found["it"], name: {operator: found["x"]}}, end

    def occurrence(self, at: int) -> Iterable[tuple[Any, int]]:
        return self.once("occurrence", at, self._occurrence)

    def _occurrence(self, at: int) -> Found:
        """An event with its window, its conditions and what lies beside it."""
        words = self.words
        yield from self.happened(at)
        for relation, template in words.beside.items():
            if template.startswith("{event}"):
                yield from self.followed(at, relation, template)
            else:
                for found, end in self.told(template, at, event=self.occurrence, x=self.span, other=self.happened):
                    yield {**found["event"], relation: {**found["other"], "within": found["x"]}}, end

    def followed(self, at: int, relation: str, template: str) -> Found:
        """Of English, where what lies beside comes after: the relations in their order, each at most once."""
        order = list(self.words.beside)
        for event, middle in self.beside_until(at, order.index(relation)):
            rest = template.removeprefix("{event}")
            for found, end in self.told(rest, middle, x=self.span, other=self.happened):
                yield {**event, relation: {**found["other"], "within": found["x"]}}, end

    def beside_until(self, at: int, count: int) -> Found:
        yield from self.happened(at)
        for relation in list(self.words.beside)[:count]:
            yield from self.followed(at, relation, self.words.beside[relation])

    def happened(self, at: int) -> Iterable[tuple[Any, int]]:
        return self.once("happened", at, self._happened)

    def _happened(self, at: int) -> Found:
        words = self.words
        yield from self.timed(at)
        for found, end in self.told(words.where, at, event=self.timed, x=self.where):
            yield {**found["event"], "where": found["x"]}, end

    def timed(self, at: int) -> Found:
        words = self.words
        for name, end in self.quoted(at):
            yield {"event": name}, end
        for template, read in ((words.within, self.span), (words.during, self.calendar)):
            for found, end in self.told(template, at, event=self.quoted, x=read):
                yield {"event": found["event"], "within": found["x"]}, end

    def sequence(self, at: int) -> Found:
        words = self.words

        def steps(start: int) -> Iterable[tuple[Any, int]]:
            return self.joined(start, words.step_join, self.step)

        def plain(start: int) -> Found:
            for found, end in self.told(words.sequence, start, x=steps):
                yield {"sequence": found["x"]}, end

        def spanned(start: int) -> Found:
            yield from plain(start)
            for found, end in self.told(words.sequence_span, start, x=plain, y=self.span):
                yield {**found["x"], "span": found["y"]}, end

        yield from spanned(at)
        for template, read in ((words.sequence_within, self.span), (words.sequence_during, self.calendar)):
            for found, end in self.told(template, at, x=spanned, y=read):
                yield {**found["x"], "within": found["y"]}, end

    def step(self, at: int) -> Found:
        for found, end in self.told(self.words.step, at, event=self.happened):
            yield found["event"], end
        for found, end in self.told(self.words.step_within, at, event=self.happened, x=self.span):
            yield {**found["event"], "within": found["x"]}, end

    def segment(self, at: int) -> Found:
        for found in self.token(_UUID, at):
            yield found[0], found.end()
        for name, end in self.quoted(at):
            if name in self.segments:
                yield str(self.segments[name]), end


def _operand(said: dict[str, Any]) -> object:
    return said["x"]
