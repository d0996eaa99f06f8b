"""A tracking plan, compiled: what it says of one event's properties or traits."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonschema_rs

from perennial.common.commerce import canonical
from perennial.common.web import Unprocessable
from perennial.gateway.plans.bounds import check_document, check_schema, escaped, invalid, size_of

MASK = "the value"
MOST_STEPS, MOST_EXPLAINED = 200_000, 4_000  # each 10 ms or so at the worst
_REGEX = jsonschema_rs.RegexOptions(size_limit=256 * 1024, dfa_size_limit=256 * 1024)  # linear time, no look-around
_TRAITS = frozenset({"identify", "group"})
_KINDS = ("identify", "group", "page", "screen")
_UNPLANNED = ("additionalProperties", "unevaluatedProperties")


class Objection(NamedTuple):
    """One thing that breaks the plan: where in `properties` or `traits`, and what is to be done."""

    path: tuple[str | int, ...]
    message: str
    action: str


class Rule(NamedTuple):
    """The rule for one event's properties or traits."""

    validator: jsonschema_rs.Draft202012Validator
    invalid: str
    unplanned: str
    weight: int

    def objections(self, values: Mapping[str, Any], until: float) -> list[Objection]:
        """Everything that breaks the rule.

        The library finds all errors before it tells the first, and one costs it 50 µs: where there could be too many,
        only that there are some is said, and nothing can be omitted. The same holds when the request has used up its
        time: `until` is an instant of the thread's own clock.
        """
        steps = size_of(values) * self.weight
        if steps > MOST_STEPS or time.thread_time() > until:
            return [Objection((), "is too much to be held against this schema", self._whole)]
        if self.validator.is_valid(values):
            return []
        if steps > MOST_EXPLAINED:
            return [Objection((), "breaks the schema, and is too large to say where", self._whole)]
        found: list[Objection] = []
        for error in self.validator.iter_errors(values):
            path = tuple(error.instance_path)
            names = getattr(error.kind, "unexpected", None) if error.kind.name in _UNPLANNED else None
            if names is None:
                found.append(Objection(path, error.message, self.invalid))
            else:
                action = self.invalid if path or self.unplanned == "ignore" else self.unplanned
                found += [Objection((*path, name), "is not in the plan", action) for name in names]
        return found

    @property
    def _whole(self) -> str:
        """What to do with an event when nothing smaller can be judged."""
        return "allow" if {self.invalid, self.unplanned} <= {"allow", "ignore"} else "quarantine"


class Plan(NamedTuple):
    """All rules of a source."""

    version: int
    events: Mapping[str, Rule]
    kinds: Mapping[str, Rule]
    unplanned_events: str

    def rule(self, kind: str, name: str | None) -> Rule | None:
        """The rule for a type of event and, of track, its name; None when it has none."""
        return self.events.get(name or "") if kind == "track" else self.kinds.get(kind)


def compiled(document: Mapping[str, Any], version: int = 0) -> Plan:
    """A plan from its JSON. Raises Unprocessable that names the path."""
    check_document(document)
    events: dict[str, Rule] = {}
    for name, rule in document.get("events", {}).items():
        path = f"/events/{escaped(name)}"
        if canonical(name) in events:
            raise invalid(path, f"{canonical(name)!r} is in the plan twice, in another spelling")
        events[canonical(name)] = _compiled(rule, path, document)
    kinds = {kind: _compiled(document[kind], f"/{kind}", document) for kind in _KINDS if document.get(kind)}
    return Plan(version, events, kinds, document.get("unplanned_events", "ignore"))


def section(kind: str) -> str:
    """The member of an event that a rule speaks of."""
    return "traits" if kind in _TRAITS else "properties"


def _compiled(rule: Mapping[str, Any], path: str, document: Mapping[str, Any]) -> Rule:
    schema = dict(rule["schema"])
    weight = check_schema(schema, f"{path}/schema")
    unplanned = rule.get("unplanned_properties") or document.get("unplanned_properties", "ignore")
    _built(schema, path, mask=None)  # what is wrong in the schema itself may be shown
    if unplanned != "ignore" and not any(name in schema for name in _UNPLANNED):
        schema["unevaluatedProperties"] = False
    return Rule(_built(schema, path), rule.get("invalid") or document.get("invalid", "allow"), unplanned, weight)


def _built(schema: dict[str, Any], path: str, mask: str | None = MASK) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, mask=mask, pattern_options=_REGEX, offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _unfit(error, path) from error


def _unfit(error: Exception, path: str) -> Unprocessable:
    where = "".join(f"/{escaped(str(step))}" for step in getattr(error, "instance_path", ()))
    return invalid(f"{path}/schema{where}", str(getattr(error, "message", error))[:300])
