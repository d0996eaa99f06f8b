"""A journey's definition: strict JSON in, every refusal with its pointer, canonical JSON out."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError

from perennial.campaigns.plain import spelled
from perennial.campaigns.plans.steps import KINDS, ConditionStep, Step, Strict
from perennial.common.commerce import canonical
from perennial.common.problems import FieldError, Unprocessable
from perennial.common.rules import RuleError, dump, parse
from perennial.common.rules.grammar.nodes import OnEvent

MOST_STEPS = 100
_TAGS = {f"<{name}>" for name in (*KINDS, "event", "segment", "api")}

EventName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(canonical)]


class OnTrack(Strict):
    """An event by its name, of which properties may be asked as in rules."""

    event: EventName
    where: list[dict[str, Any]] = Field(default_factory=list, max_length=20)


class OnSegment(Strict):
    """Becoming a member of a segment, by a live event or by the clock."""

    segment: Annotated[UUID, Field(strict=False)]


class OnRequest(Strict):
    """`POST /v1/journeys/{id}/enrol` alone."""

    api: Literal[True]


def _trigger(data: object) -> str | None:
    names = ("event", "segment", "api")
    held = data if isinstance(data, dict) else type(data).model_fields if isinstance(data, Strict) else ()
    return next((f"<{name}>" for name in names if name in held), None)


Trigger = Annotated[
    Annotated[OnTrack, Tag("<event>")] | Annotated[OnSegment, Tag("<segment>")] | Annotated[OnRequest, Tag("<api>")],
    Discriminator(_trigger),
]


class Definition(Strict):
    """What a journey does. Steps follow each other in the list unless one names its `next`."""

    trigger: Trigger
    steps: Annotated[list[Step], Field(min_length=1, max_length=MOST_STEPS)]
    exit_on: list[OnTrack] = Field(default_factory=list, max_length=20)
    reentry: Literal["once", "after_exit", "always"] = "after_exit"


_adapter = TypeAdapter(Definition)


def read(data: object, at: str = "/definition") -> Definition:
    """Check a decoded definition. Raises Unprocessable naming every fault by its pointer below `at`."""
    try:
        definition = _adapter.validate_python(spelled(data, at))
    except ValidationError as refusal:
        found = refusal.errors(include_url=False, include_context=False, include_input=False)
        raise refused([_error(at, item["loc"], item["type"], item["msg"]) for item in found]) from None
    if errors := [error for error in _rule_errors(definition, at) if error]:
        raise refused(errors)
    return definition


def written(definition: Definition) -> dict[str, Any]:
    """The canonical JSON: `read(written(d)) == d`."""
    document: dict[str, Any] = _adapter.dump_python(definition, mode="json", by_alias=True, exclude_none=True)
    for step in document["steps"]:
        if step["kind"] == "condition":
            step["rule"] = dump(parse(step["rule"]))
    return document


def occurrence_rule(heard: OnTrack) -> OnEvent:
    """The event and its conditions as a rule."""
    rule = parse({"event": heard.event, "where": heard.where})
    assert isinstance(rule, OnEvent)  # noqa: S101 (that is what the object says)
    return rule


def _rule_errors(definition: Definition, at: str) -> list[FieldError | None]:
    found = [
        _rule_error(step.rule, f"{at}/steps/{index}/rule")
        for index, step in enumerate(definition.steps)
        if isinstance(step, ConditionStep)
    ]
    heard = [(f"{at}/exit_on/{index}", item) for index, item in enumerate(definition.exit_on)]
    if isinstance(definition.trigger, OnTrack):
        heard.append((f"{at}/trigger", definition.trigger))
    return found + [_rule_error({"event": item.event, "where": item.where}, where) for where, item in heard]


def _rule_error(rule: dict[str, Any], at: str) -> FieldError | None:
    try:
        parse(rule)
    except RuleError as error:
        return FieldError(pointer=at + error.pointer, detail=error.message, code="rule")
    return None


def _error(at: str, location: Sequence[int | str], kind: str, message: str) -> FieldError:
    pointer = at + "".join(f"/{part}" for part in location if part not in _TAGS)
    if kind == "union_tag_not_found":
        wanted = "kind must be one of " + ", ".join(KINDS) if "steps" in location else "must name event, segment or api"
        return FieldError(pointer=pointer, detail=wanted, code=kind)
    return FieldError(pointer=pointer, detail=message.removeprefix("Value error, "), code=kind)


def refused(errors: list[FieldError]) -> Unprocessable:
    """The answer to a definition with these faults."""
    detail = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in errors)
    return Unprocessable(detail, code="invalid_journey", errors=errors)
