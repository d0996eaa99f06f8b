"""Journeys and masks: what their authors may compare."""

from collections.abc import Iterator

from perennial.campaigns.plans.definition import Definition, OnTrack, occurrence_rule
from perennial.campaigns.plans.steps import ConditionStep
from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.rules import parse
from perennial.common.rules.grammar.nodes import Rule


def check(principal: Principal, definition: Definition, at: str = "/definition") -> None:
    """Raises Forbidden where a rule compares what its author does not see: the funnel would tell it."""
    for pointer, rule in _rules(definition, at):
        masks.check_rule(principal, rule, pointer)


def _rules(definition: Definition, at: str) -> Iterator[tuple[str, Rule]]:
    if isinstance(definition.trigger, OnTrack):
        yield f"{at}/trigger", occurrence_rule(definition.trigger)
    for index, item in enumerate(definition.exit_on):
        yield f"{at}/exit_on/{index}", occurrence_rule(item)
    for index, step in enumerate(definition.steps):
        if isinstance(step, ConditionStep):
            yield f"{at}/steps/{index}/rule", parse(step.rule)
