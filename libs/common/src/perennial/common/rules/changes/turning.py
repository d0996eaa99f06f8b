"""Which way one more event can turn a rule's answer: who is in by a rule that it can only make true stays in."""

from collections.abc import Mapping
from enum import Enum

from perennial.common.rules.changes.rolling import rolling_alone
from perennial.common.rules.grammar.criteria import Amount, Bounds
from perennial.common.rules.grammar.nodes import AllOf, AnyOf, Not, OnEvent, OnSequence, Rule


class Turn(Enum):
    """At every moment, now and later: of two sets of events, one within the other, the greater one's answer."""

    RISING = 1
    FALLING = -1
    EITHER = 0

    def opposite(self) -> "Turn":
        """That of the rule's negation."""
        return Turn(-self.value)


_STAYS = {Turn.RISING: False, Turn.FALLING: True}


def turns(rule: Rule) -> Mapping[str, Turn]:
    """By the name of the event, of those that the rule asks for. What else it asks for is taken to stay as it is."""
    match rule:
        case AllOf() | AnyOf():
            found: dict[str, Turn] = {}
            for inner in rule.rules:
                for name, turn in turns(inner).items():
                    found[name] = turn if found.get(name, turn) is turn else Turn.EITHER
            return found
        case Not():
            return {name: turn.opposite() for name, turn in turns(rule.rule).items()}
        case OnEvent():
            others = [other.event for _, other in rule.beside]
            return dict.fromkeys([rule.event, *others], Turn.EITHER if others else _measured(rule))
        case OnSequence():
            return dict.fromkeys([step.event for step in rule.steps], Turn.RISING)
        case _:
            return {}


def stays(rule: Rule) -> bool | None:
    """The answer that the clock alone never changes where no event is to come; None: it may change either.

    Who has not done in a window what makes the rule hold does not come to have done it as the window moves on.
    """
    found = set(turns(rule).values()) if rolling_alone(rule) else set()
    return _STAYS.get(found.pop()) if len(found) == 1 else None


def _measured(rule: OnEvent) -> Turn:
    name, wanted = rule.measure
    if name not in {"count", "distinct"} or not isinstance(wanted, Bounds):
        return Turn.EITHER
    given = set(wanted.chosen(*({"property"} if isinstance(wanted, Amount) else ())))
    if given <= {"gt", "gte"}:
        return Turn.RISING
    if given <= {"lt", "lte"} or (given == {"eq"} and wanted.eq == 0):
        return Turn.FALLING
    return Turn.EITHER
