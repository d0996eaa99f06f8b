"""What a list is asked for, read from the query of a URL."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fastapi import Request

from perennial.common import rules
from perennial.common.problems import Unprocessable
from perennial.common.rules.grammar.nodes import Rule
from perennial.common.rules.values.scalars import NUMBER

MOST = 20
_TRAIT = re.compile(r"trait\.(?P<path>.+?)(?:\[(?P<operator>[a-z_]+)\])?")
_NUMBER = re.compile(NUMBER)
_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})


def several(said: str | None) -> tuple[str, ...]:
    """Words joined by commas."""
    return tuple(word for part in (said or "").split(",") if (word := part.strip()))


def rule(document: str | None, request: Request) -> Rule | None:
    """What `filter` and every `trait.…` ask together. Raises Unprocessable."""
    asked = list(_simple(request))
    if document is not None:
        asked.append(("filter", _json(document)))
    if not asked:
        return None
    if len(asked) > MOST:
        raise Unprocessable(f"trait: at most {MOST} conditions", code="invalid_filter", pointer="query")
    for name, condition in asked:
        try:
            rules.parse(condition)
        except rules.RuleError as error:
            where = error.pointer if name == "filter" else ""
            detail = f"{name}: {error.message}" if not where else f"{name}{where}: {error.message}"
            raise Unprocessable(detail, code="invalid_filter", pointer=f"query/{name}{where}") from error
    conditions = [condition for _, condition in asked]
    return rules.parse(conditions[0] if len(conditions) == 1 else {"all": conditions})


def _json(document: str) -> Any:
    try:
        return json.loads(document, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Unprocessable("filter: must be JSON", code="invalid_filter", pointer="query/filter") from error


def _simple(request: Request) -> Iterator[tuple[str, Any]]:
    for name, said in request.query_params.multi_items():
        found = _TRAIT.fullmatch(name)
        if found:
            yield name, _condition(found["path"], found["operator"] or "is", said)


def _condition(path: str, operator: str, said: str) -> dict[str, Any]:
    if operator in _BOUNDS:
        return {"trait": path, operator: Decimal(said) if _NUMBER.fullmatch(said) else said}
    if operator == "exists":
        return {"trait": path, operator: {"true": True, "false": False}.get(said, said)}
    if operator in {"in", "not_in"}:
        return {"trait": path, operator: [both for one in several(said) for both in _readings(one)]}
    if operator in {"is", "is_not", "contains", "not_contains"} and len(readings := _readings(said)) > 1:
        joined = "all" if "not" in operator else "any"
        return {joined: [{"trait": path, operator: reading} for reading in readings]}
    return {"trait": path, operator: said}


def _readings(said: str) -> list[Any]:
    """A value of a URL has no type: digits may be meant as a number or as a text."""
    return [said, Decimal(said)] if _NUMBER.fullmatch(said) else [said]
