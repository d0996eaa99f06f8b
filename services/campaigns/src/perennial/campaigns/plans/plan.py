"""A published version made ready to run: targets resolved, rules compiled, once per process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from perennial.campaigns.plans.definition import Definition, OnTrack, occurrence_rule
from perennial.campaigns.plans.graph import Edge, edges
from perennial.campaigns.plans.steps import Arm, ConditionStep, MessageStep, SplitStep, Step, WaitStep
from perennial.campaigns.templates import reads
from perennial.common import rules
from perennial.common.rules import Footprint, Predicate
from perennial.common.rules.evaluation.events import matching
from perennial.common.rules.values.paths import parse_path

NOTHING = Footprint(frozenset(), frozenset(), frozenset(), timedelta())
Match = Callable[[Mapping[str, object], datetime], bool]


@dataclass(frozen=True)
class Condition:
    """A rule ready to be asked, and what it reads."""

    holds: Predicate
    reads: Footprint


@dataclass
class Plan:
    """One version of a journey."""

    journey_id: UUID
    version: int
    definition: Definition

    @cached_property
    def steps(self) -> dict[str, Step]:
        """The steps by id."""
        return {step.id: step for step in self.definition.steps}

    @cached_property
    def positions(self) -> dict[str, int]:
        """The place of each step in the list."""
        return {step.id: index for index, step in enumerate(self.definition.steps)}

    @property
    def first(self) -> str:
        """The step on which a walk begins."""
        return self.definition.steps[0].id

    @cached_property
    def _edges(self) -> dict[str, list[Edge]]:
        return edges(self.definition)

    def after(self, step: str, outcome: str = "") -> Edge:
        """The way that an outcome takes; steps with one way take it whatever the outcome."""
        ways = self._edges[step]
        return next((edge for edge in ways if edge.outcome == outcome), ways[0])

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The rules of the condition steps, compiled."""
        asked = {step.id: rules.parse(step.rule) for step in self.definition.steps if isinstance(step, ConditionStep)}
        return {name: Condition(rules.compile(rule), rules.footprint(rule)) for name, rule in asked.items()}

    @cached_property
    def _triggers(self) -> Match | None:
        trigger = self.definition.trigger
        return _match(trigger) if isinstance(trigger, OnTrack) else None

    def triggered_by(self, properties: Mapping[str, object], at: datetime) -> bool:
        """Whether an occurrence of the trigger's event has the properties wanted."""
        return self._triggers is not None and self._triggers(properties, at)

    @cached_property
    def _exits(self) -> list[tuple[str, Match]]:
        return [(item.event, _match(item)) for item in self.definition.exit_on]

    def exited_by(self, name: str, properties: Mapping[str, object], at: datetime) -> bool:
        """Whether an event ends the journey."""
        return any(event == name and match(properties, at) for event, match in self._exits)

    @cached_property
    def exit_events(self) -> list[str]:
        """The names of the events that can end the journey."""
        return sorted({item.event for item in self.definition.exit_on})

    @cached_property
    def waits(self) -> timedelta:
        """The longest that a walk can rest by its own waits; it never overflows."""
        seconds = sum(step.for_.total_seconds() for step in self.definition.steps if isinstance(step, WaitStep))
        return timedelta(seconds=min(seconds, timedelta(days=400_000).total_seconds()))

    @cached_property
    def message_traits(self) -> dict[str, frozenset[str]]:
        """The traits that each message's templates read. Raises TemplateFault for a broken one."""
        return {
            step.id: reads(step.subject) | reads(step.body)
            for step in self.definition.steps
            if isinstance(step, MessageStep)
        }

    def withheld(self, split: SplitStep, taken: Arm) -> list[MessageStep]:
        """The first message of each other arm, when `taken` is a control arm that does not lead there itself."""
        if not self.is_control(split, taken):
            return []
        own = self._reachable(self.after(split.id, taken.name).target)
        others = [self._first_message(self.after(split.id, arm.name).target) for arm in split.arms if arm != taken]
        return [step for step in dict.fromkeys(others) if step is not None and step.id not in own]

    def is_control(self, split: SplitStep, arm: Arm) -> bool:
        """Whether an arm is there for comparison only."""
        if arm.control is not None:
            return arm.control
        target = self.after(split.id, arm.name).target
        leaves = target is None or self.steps[target].kind == "exit"
        return arm.name.casefold() == "control" or leaves

    def _first_message(self, name: str | None) -> MessageStep | None:
        while name is not None:
            step = self.steps[name]
            if isinstance(step, MessageStep):
                return step
            name = self.after(name).target if isinstance(step, WaitStep) else None
        return None

    def _reachable(self, name: str | None) -> set[str]:
        found, pending = set[str](), [name]
        while pending:
            step = pending.pop()
            if step is not None and step not in found:
                found.add(step)
                pending += [edge.target for edge in self._edges[step]]
        return found


def _match(heard: OnTrack) -> Match:
    """Whether the properties of an occurrence satisfy every condition."""
    tests = [matching(item, parse_path(item.property)) for item in occurrence_rule(heard).where]
    return lambda properties, at: all(test(properties, at) for test in tests)
