"""Definitions ready to be asked: a rule as closures, words as a score, and what all of them read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from sqlalchemy import Row

from perennial.common import rules
from perennial.common.rules import Predicate, Rule
from perennial.common.rules.changes.flip import Flip
from perennial.common.rules.evaluation.footprint import NOTHING, Footprint, footprint, leaves
from perennial.common.rules.values.durations import parse_duration
from perennial.profile.tags.definitions.anchors import Index, index

TAGS, STAGE = "tags", "stage"
SEEN = frozenset({"first_seen", "last_seen"})
MOST_NARROWED = 1024
HALVINGS = 10  # what was said longer ago counts less than a thousandth


@dataclass(frozen=True, slots=True)
class Need:
    """How words become a tag: the topics they touch, weighed by where they were said, halved by every `half_life`."""

    topics: frozenset[str]
    weights: Mapping[str, float]
    half_life: timedelta
    threshold: float
    mood: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the customers by a number: those at `cut` or beyond it."""

    trait: str
    top: bool
    cut: Decimal | None


@dataclass(frozen=True, slots=True)
class Reads:
    """What rules read: all of it together, and of each event how far back somebody looks (None: ever)."""

    spans: Mapping[str, timedelta | None] = field(default_factory=dict)
    footprint: Footprint = NOTHING

    def __or__(self, other: "Reads") -> "Reads":
        """Of both."""
        spans = dict(self.spans)
        for name, span in other.spans.items():
            known = spans.get(name, timedelta())
            spans[name] = None if known is None or span is None else max(known, span)
        return Reads(spans, self.footprint | other.footprint)


@dataclass(frozen=True, slots=True)
class Tag:
    """One active definition."""

    key: str
    kind: str
    version: int
    rule: Rule | None = None
    reads: Reads = Reads()
    holds: Predicate | None = None
    flips: Flip | None = None
    need: Need | None = None
    share: Share | None = None

    @property
    def lineage(self) -> str:
        """What a tag that it gives is by."""
        return f"{self.kind}:{self.key}:{self.version}"


@dataclass(frozen=True, slots=True)
class Serving:
    """Active definitions: `early` rules do not look at other rules' tags, `late` ones see those of the early.

    `ruled` are all that are rules, by key.
    """

    given: frozenset[str]
    early: Index[Tag]
    late: Index[Tag]
    needs: Sequence[Tag]
    shares: Sequence[Tag]
    reads: Reads
    ruled: Mapping[str, Tag] = field(default_factory=dict)
    _narrowed: "dict[frozenset[str], Serving]" = field(default_factory=dict, compare=False)

    def about(self, names: frozenset[str]) -> "Serving":
        """What is to be asked where events of these names are new, and no more: all other tags stand.

        Tags that look at tags are asked always; so what they see is up to date.
        """
        names = names.intersection(self.reads.spans)  # clients make up names without end
        if names not in self._narrowed:
            if len(self._narrowed) >= MOST_NARROWED:
                self._narrowed.clear()
            self._narrowed[names] = of_rules([tag for tag in self.ruled.values() if _looks_at(tag, names)])
        return self._narrowed[names]

    @property
    def look_back(self) -> timedelta:
        """How long ago words may have been said that still count."""
        return max((tag.need.half_life * HALVINGS for tag in self.needs if tag.need), default=timedelta())


def serving(rows: Sequence[Row[Any]]) -> Serving:
    """The definitions of these rows (key, kind, version, basis and cut as texts), compiled once."""
    return _serving(tuple(tuple(row) for row in rows))


@lru_cache(maxsize=16)
def _serving(rows: tuple[tuple[str, str, int, str, str | None], ...]) -> Serving:
    tags = [compiled(*row) for row in rows]
    return replace(
        of_rules(tags),
        given=frozenset(tag.key for tag in tags if tag.kind in {"manual", "imported"}),
        needs=[tag for tag in tags if tag.need],
        shares=[tag for tag in tags if tag.share],
    )


def of_rules(tags: Iterable[Tag]) -> Serving:
    """Those of the definitions that are rules."""
    ruled = [(tag, tag.rule) for tag in tags if tag.rule is not None]
    late = {tag.key for tag, _ in ruled if TAGS in tag.reads.footprint.traits}
    return Serving(
        given=frozenset(),
        early=index([(tag, rule) for tag, rule in ruled if tag.key not in late]),
        late=index([(tag, rule) for tag, rule in ruled if tag.key in late]),
        needs=(),
        shares=(),
        reads=reduce(or_, (tag.reads for tag, _ in ruled), Reads()),
        ruled={tag.key: tag for tag, _ in ruled},
    )


def _looks_at(tag: Tag, names: frozenset[str]) -> bool:
    reads = tag.reads.footprint
    return not (names.isdisjoint(reads.events) and (SEEN | {TAGS}).isdisjoint(reads.traits))


@lru_cache(maxsize=4096)
def compiled(key: str, kind: str, version: int, basis: str, cut: str | None) -> Tag:
    """One definition."""
    document = json.loads(basis)
    if kind == "rule":
        rule = rules.parse(document["rule"])
        return Tag(key, kind, version, rule, reads_of([rule]), rules.compile(rule), rules.flips(rule))
    if kind == "words":
        return Tag(key, kind, version, need=_need(document["words"]))
    if kind == "computed":
        said = document["computed"]
        return Tag(key, kind, version, share=Share(said["trait"], "top" in said, None if cut is None else Decimal(cut)))
    return Tag(key, kind, version)


def _need(said: Mapping[str, Any]) -> Need:
    return Need(
        topics=frozenset(said["topics"]),
        weights={kind: float(weight) for kind, weight in said["kinds"].items()},
        half_life=parse_duration(said["half_life"]),
        threshold=float(said["threshold"]),
        mood=said.get("mood"),
    )


def reads_of(asked: Iterable[Rule]) -> Reads:
    """What rules read together, each event no further back than somebody looks."""
    read = [footprint(leaf) for rule in asked for leaf in leaves(rule)]
    return reduce(or_, (Reads(dict.fromkeys(reads.events, reads.look_back), reads) for reads in read), Reads())
