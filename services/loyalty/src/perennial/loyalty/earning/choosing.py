"""Which of the rules that hold count, and how much of each: groups, then caps."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from perennial.loyalty.earning.asking import Verdict


class Room:
    """How much rules may still give; here, all."""

    def left(self, verdict: Verdict) -> int:
        """The points that a rule may still give, of those that it would."""
        return verdict.points

    def take(self, verdict: Verdict) -> None:
        """Note what a rule gives."""


def chosen(verdicts: Sequence[Verdict], main: str, room: Room) -> list[Verdict]:
    """The verdicts with the points that count, in their sequence; `main` is the currency of rules that name none.

    Within a group it is looked at what the caps leave: a rule that is used up makes room for the next one.
    """
    best: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        if verdict.rule.group is not None and verdict.points:
            key = (verdict.rule.group, verdict.rule.currency or main)
            offer = replace(verdict, points=room.left(verdict))
            if offer.points and (key not in best or _rank(offer) > _rank(best[key])):
                best[key] = offer
    return [_granted(verdict, best.get((verdict.rule.group or "", verdict.rule.currency or main)), room)
            for verdict in verdicts]  # fmt: skip


def _rank(verdict: Verdict) -> tuple[int, int]:
    return verdict.rule.priority, verdict.points


def _granted(verdict: Verdict, best: Verdict | None, room: Room) -> Verdict:
    if not verdict.points:
        return verdict
    if verdict.rule.group is not None and best is not None and best.rule.name != verdict.rule.name:
        return replace(verdict, because="group", points=0)
    left = room.left(verdict)
    granted = verdict if left == verdict.points else replace(verdict, because="cap", points=left)
    if granted.points:
        room.take(granted)
    return granted


def by_currency(verdicts: Iterable[Verdict], main: str) -> dict[str, int]:
    """What verdicts give, by currency; nothing is left out."""
    total: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.points:
            code = verdict.rule.currency or main
            total[code] = total.get(code, 0) + verdict.points
    return total
