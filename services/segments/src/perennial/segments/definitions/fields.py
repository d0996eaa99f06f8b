"""Rules are typed: every trait in one is defined or was said by somebody, and is compared as its type can be."""

from collections.abc import Iterator, Mapping, Sequence

from perennial.common import rules
from perennial.common.db import ReadSession
from perennial.common.problems import FieldError, Unprocessable
from perennial.common.rules import Fields, Rule, RuleError
from perennial.common.rules.evaluation.conditions import affirmative
from perennial.common.rules.evaluation.footprint import placed
from perennial.common.rules.grammar.checking import OPERATORS
from perennial.common.rules.grammar.nodes import OnTrait
from perennial.common.rules.values.paths import trait_path
from perennial.common.rules.values.scalars import text
from perennial.segments.facts import queries

RFM = {"rfm": "object"}
UNKNOWN, WRONG = "unknown_field", "wrong_type"


async def check_fields(session: ReadSession, rule: Rule) -> None:
    """Raises Unprocessable, with its place, for a trait that nobody knows and for what no value of it can satisfy.

    Events go by any name: a rule is often there before the first of them. Of a trait that was only seen, any type goes.
    """
    asked = rules.footprint(rule).traits
    if not asked:
        return
    defined = await queries.defined(session)
    known = {key: kind if kind in OPERATORS else None for key, (kind, _) in defined.items()}
    seen = await queries.seen(session, asked - known.keys())
    try:
        rules.check(rule, Fields(traits={**dict.fromkeys(seen), **known, **RFM}))
    except RuleError as error:
        code = UNKNOWN if error.message.startswith("there is no trait") else WRONG
        raise _refused(error.pointer, error.message, code) from error
    for pointer, said in _strange(rule, {key: values for key, (kind, values) in defined.items() if kind == "enum"}):
        raise _refused(pointer, said, WRONG)


def _refused(pointer: str, said: str, code: str) -> Unprocessable:
    errors = [FieldError(pointer=f"/rule{pointer}", detail=said, code=code)]
    return Unprocessable(f"rule: {pointer or '/'}: {said}", code=code, errors=errors)


def _strange(rule: Rule, enums: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Values that an enum never has."""
    for pointer, leaf in placed(rule):
        if not isinstance(leaf, OnTrait):
            continue
        key, _ = trait_path(leaf.trait)
        operator, operand, _ = affirmative(leaf)
        if key in enums and operator in {"is", "in"}:
            wanted = operand if isinstance(operand, tuple) else (operand,)
            if strange := [str(item) for item in wanted if text(item) not in enums[key]]:
                known = ", ".join(enums[key][:20])
                yield f"{pointer}/{leaf.operator}", f"{key} is never {strange[0]}; it is one of {known}"
