"""What a journey's condition may read of what profile works out: nothing of it comes here."""

from collections.abc import Iterator

from perennial.campaigns.plans.definition import Definition, refused
from perennial.campaigns.plans.steps import ConditionStep
from perennial.common.problems import FieldError
from perennial.common.rules import Rule, parse
from perennial.common.rules.evaluation.footprint import placed
from perennial.common.rules.grammar.nodes import OnElement, OnTrait
from perennial.common.rules.values.paths import trait_path

ELSEWHERE = frozenset({"tags", "stage", "rfm"})
MAY = (
    "is not known to journeys: a condition may read traits that identify said, events, segments, random and everyone; "
    "let a segment ask for it, and the condition for the segment"
)


def check(definition: Definition, at: str = "/definition") -> None:
    """Raises Unprocessable that names each place where a condition asks what it would never see.

    Not a part of reading: journeys of before go on as they are.
    """
    errors = [
        FieldError(pointer=pointer, detail=f"{key} {MAY}", code="unreadable")
        for index, step in enumerate(definition.steps)
        if isinstance(step, ConditionStep)
        for pointer, key in _unreadable(parse(step.rule), f"{at}/steps/{index}/rule")
    ]
    if errors:
        raise refused(errors)


def _unreadable(rule: Rule, at: str) -> Iterator[tuple[str, str]]:
    for pointer, leaf in placed(rule, at):
        if isinstance(leaf, OnTrait | OnElement):
            key = trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)[0]
            if key in ELSEWHERE:
                yield pointer, key
