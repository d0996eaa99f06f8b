"""How a text sounds. The model is whatever the entry point group `perennial.sentiment` names, else our own lexicon.

The lexicon is small (some 250 words): it is right where somebody says plainly what they think, and blind to irony,
comparison and what is only implied. It says nothing (None) rather than guess where it knows no word. Where a review
bears stars, they count as much as its words.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from itertools import groupby
from math import sqrt
from typing import Any, Protocol

import rjieba

from perennial.profile.tags.words import hearing

GROUP = "perennial.sentiment"
FLAT = 15.0  # how slowly the sum of words approaches 1
REACH = {"en": 3, "zh": 2}  # words that a negation reaches over
BOOST, NEGATED = 1.5, -0.75
STARS = 5


class Model(Protocol):
    """What a model must do; it is called in a thread, with texts of at most `hearing.LONGEST` characters."""

    def polarities(self, texts: Sequence[str]) -> list[float | None]:
        """Of each text a number from -1 (bad) to 1 (good), or None where nothing can be said."""


class Lexicon:
    """Words that are good or bad, turned round by negations and raised by boosters."""

    def __init__(self) -> None:
        said = hearing.shipped("perennial.profile.tags.words", "lexicon.json")
        self._worth = {
            lang: {**words["positive"], **{word: -worth for word, worth in words["negative"].items()}}
            for lang, words in said.items()
        }
        self._negators = {lang: frozenset(words["negators"]) for lang, words in said.items()}
        self._boosters = {lang: frozenset(words["boosters"]) for lang, words in said.items()}
        self._jieba: rjieba.Jieba | None = None

    def polarities(self, texts: Sequence[str]) -> list[float | None]:
        """See Model."""
        return [self._polarity(text[: hearing.LONGEST].lower()) for text in texts]

    def _polarity(self, text: str) -> float | None:
        found = [worth for lang, words in self._cut(text) for worth in self._judge(lang, words)]
        total = sum(found)
        return round(total / sqrt(total * total + FLAT), 3) if found else None

    def _cut(self, text: str) -> list[tuple[str, list[str]]]:
        """Runs of Chinese and of other words; a clause ends where punctuation stands."""
        runs = groupby(hearing.CLAUSE.split(text), key=lambda part: "zh" if hearing.CHINESE.search(part) else "en")
        return [
            (lang, self._cutter().cut(part) if lang == "zh" else hearing.WORD.findall(part))
            for lang, parts in runs
            for part in parts
            if part
        ]

    def _cutter(self) -> rjieba.Jieba:
        if self._jieba is None:
            self._jieba = rjieba.Jieba()
            for word in self._worth["zh"]:
                self._jieba.add_word(word, hearing.FREQUENT, None)
        return self._jieba

    def _judge(self, lang: str, words: Sequence[str]) -> list[float]:
        found = []
        for position, word in enumerate(words):
            worth = self._worth[lang].get(word)
            if worth is None:
                continue
            nearby = words[max(0, position - REACH[lang]) : position]
            factor = NEGATED if sum(near in self._negators[lang] for near in nearby) % 2 else 1.0
            if any(near in self._boosters[lang] for near in nearby):
                factor *= BOOST
            found.append(worth * factor)
        return found


@cache
def model() -> Model:
    """The model of this process."""
    for point in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        make: Callable[[], Model] = point.load()
        return make()
    return Lexicon()


def with_stars(polarity: float | None, rating: Any) -> float | None:
    """Words and stars (1 to 5) together."""
    if isinstance(rating, bool) or not isinstance(rating, int | float) or not 1 <= rating <= STARS:
        return polarity
    stars = (rating - 3) / 2
    return stars if polarity is None else round((stars + polarity) / 2, 3)
