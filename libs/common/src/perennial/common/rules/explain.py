"""Why a rule holds or not for one customer: every leaf with its value, its evidence and its next change."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from perennial.common.rules.changes.flip import next_flip
from perennial.common.rules.evaluation.evaluate import bucket, compile_rule
from perennial.common.rules.evaluation.events import measured, occurred
from perennial.common.rules.evaluation.sequences import chains, furthest
from perennial.common.rules.grammar.nodes import (
    AllOf,
    AnyOf,
    InBucket,
    InSegment,
    Not,
    OnElement,
    OnEvent,
    OnSequence,
    OnTrait,
    Rule,
)
from perennial.common.rules.sentences.describe import phrase
from perennial.common.rules.sentences.phrases import Language
from perennial.common.rules.values.paths import Step, reader, trait_path
from perennial.common.rules.view import Occurrence, View

MOST_EVIDENCE = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node: where it stands, whether it holds, and for a leaf what it saw.

    `value` is the trait's value (a list where the path passes a list), the measure, the steps made of a sequence,
    the membership or the bucket; `evidence` the latest occurrences that counted, newest first; `next_change` the next
    instant at which the node's own answer can change by the clock.
    """

    pointer: str
    rule: Rule
    phrase: str
    holds: bool
    value: object = None
    evidence: tuple[Occurrence, ...] = ()
    next_change: datetime | None = None
    parts: tuple["Explanation", ...] = ()


def explain(
    rule: Rule,
    view: View,
    now: datetime,
    *,
    language: Language = "en",
    pointer: str = "",
    zone: tzinfo | None = None,
) -> Explanation:
    """The rule's tree with the truth of every node, computed by the same closures as the answer."""
    value, evidence = _seen(rule, view, now, zone)
    return Explanation(
        pointer=pointer,
        rule=rule,
        phrase=phrase(rule, language),
        holds=compile_rule(rule, zone)(view, now),
        value=value,
        evidence=evidence,
        next_change=next_flip(rule, view, now, zone),
        parts=tuple(
            explain(inner, view, now, language=language, pointer=pointer + step, zone=zone)
            for step, inner in _inside(rule)
        ),
    )


def _inside(rule: Rule) -> Iterator[tuple[str, Rule]]:
    match rule:
        case AllOf() | AnyOf():
            name = "all" if isinstance(rule, AllOf) else "any"
            yield from ((f"/{name}/{i}", inner) for i, inner in enumerate(rule.rules))
        case Not():
            yield "/not", rule.rule
        case _:
            return


def _seen(rule: Rule, view: View, now: datetime, zone: tzinfo | None) -> tuple[object, tuple[Occurrence, ...]]:
    match rule:
        case OnTrait() | OnElement():
            key, (head, *rest) = trait_path(rule.trait if isinstance(rule, OnTrait) else rule.property)
            steps = (Step(key, head.each), *rest)
            values = reader(steps)(view.traits)
            return (list(values) if any(step.each for step in steps) else next(iter(values), None)), ()
        case OnEvent():
            found = occurred(rule, zone)(view, now)
            return measured(rule, found), tuple(reversed(found[-MOST_EVIDENCE:]))
        case OnSequence():
            return furthest(rule, chains(rule, zone)(view, now))
        case InSegment():
            return rule.segment in view.segments, ()
        case InBucket():
            return bucket(view.customer_id, rule.bucket.salt), ()
        case _:
            return None, ()
