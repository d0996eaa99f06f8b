"""What a dispatch rule may read: a ticket has no events, tags or traits of its customer."""

from collections.abc import Iterator

from perennial.common.problems import FieldError, Unprocessable
from perennial.common.rules.evaluation.footprint import placed
from perennial.common.rules.grammar.nodes import OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.values.paths import trait_path

CODE = "invalid_rule"
READABLE = ("type", "priority", "subject", "description", "tier")
FIELDS = "fields"
MOST_TOLD = 10
MAY = f"a dispatch rule may read {', '.join(READABLE)}, fields.<name>, segments, random and everyone"


def check(rule: Rule) -> None:
    """Raises Unprocessable that names each place which asks what no ticket has; such a part would never hold."""
    errors = [
        FieldError(pointer=pointer, detail=f"a ticket has no {asked}", code=CODE)
        for pointer, asked in _unreadable(rule, "/rule")
    ]
    if errors:
        told = "; ".join(f"{error.pointer[1:]}: {error.detail}" for error in errors[:MOST_TOLD])
        raise Unprocessable(f"{told}: {MAY}", code=CODE, errors=errors)


def _unreadable(rule: Rule, at: str) -> Iterator[tuple[str, str]]:
    for pointer, leaf in placed(rule, at):
        match leaf:
            case OnEvent():
                yield f"{pointer}/event", "events"
            case OnSequence():
                yield f"{pointer}/sequence", "events"
            case OnElement():
                yield pointer, "lists of objects"
            case OnTrait() if not _known(leaf.trait):
                yield f"{pointer}/trait", f"trait {leaf.trait}"


def _known(trait: str) -> bool:
    key, (first, *inside) = trait_path(trait)
    return not first.each and (key == FIELDS if inside else key in READABLE)
