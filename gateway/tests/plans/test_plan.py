"""What a plan says of an event, and which plans are refused."""

import asyncio
import gc
import json
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from perennial.common.web import Unprocessable
from perennial.gateway.plans import enforce
from perennial.gateway.plans.plan import Plan, compiled
from perennial.gateway.tracking import events
from perennial.gateway.tracking.envelope import Envelope

ORDER = {
    "type": "object",
    "properties": {
        "total": {"type": "number", "minimum": 0},
        "phone": {"type": "string", "maxLength": 3},
        "products": {"type": "array", "items": {"properties": {"price": {"type": "number"}}, "required": ["sku"]}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["total"],
}


def plan(**changes: Any) -> Plan:
    return compiled({"events": {"order completed": {"schema": ORDER}}, **changes})


def judged(using: Plan, **event: Any) -> tuple[enforce.Verdict | None, dict[str, Any]]:
    """What the plan says, and the event as it would be stored."""
    sent = {"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1", **event}
    raw = msgspec.Raw(json.dumps(sent).encode())
    (accepted,), rejected = events.judge(events.Arrival("web", datetime.now(UTC), Envelope(events=[raw])))
    assert not rejected
    verdict = enforce.judge(using, accepted)
    return verdict, json.loads(bytes((enforce.changed(accepted, verdict) if verdict else accepted).body))


def test_what_fits_passes() -> None:
    assert judged(plan(), properties={"total": 1, "products": [{"sku": "a", "price": 1}]})[0] is None
    assert judged(plan(), event="Something Else")[0] is None
    assert judged(plan(), type="page")[0] is None


@pytest.mark.parametrize("name", ["Order Completed", "order completed", " Completed Order "])
def test_names_are_compared_in_their_standard_form(name: str) -> None:
    verdict, _ = judged(plan(), event=name, properties={})
    assert verdict is not None
    assert verdict.outcome == "allowed"


def test_a_violation_names_its_path_and_not_the_value() -> None:
    verdict, stored = judged(plan(), properties={"total": 1, "phone": "13800138000"})
    assert verdict is not None
    assert enforce.pointer(verdict, verdict.found[0]) == "/properties/phone"
    assert enforce.said(verdict) == "properties.phone: the value is longer than 3 characters"
    assert stored["properties"]["phone"] == "13800138000"


def test_omitting_takes_out_the_smallest_part() -> None:
    products = [{"sku": "a", "price": "1"}, {"sku": "b", "price": 2}]
    verdict, stored = judged(plan(invalid="omit"), properties={"total": 1, "phone": "12345", "products": products})
    assert verdict is not None
    assert verdict.outcome == "omitted"
    assert stored["properties"] == {"total": 1, "products": [{"sku": "a"}, {"sku": "b", "price": 2}]}


@pytest.mark.parametrize(
    ("properties", "left"),
    [
        ({"total": 1, "tags": ["a", 1, 2]}, {"total": 1}),  # an item takes its list with it
        ({"total": 1, "products": [{"price": 1}]}, {"total": 1}),
        ({"total": -1}, {}),  # then it is missing: nothing more can be taken out
        ({"total": 1, "big": 123456789012345678901234567890, "tags": 7}, None),
    ],
)
def test_what_omitting_leaves(properties: dict[str, Any], left: dict[str, Any] | None) -> None:
    verdict, stored = judged(plan(invalid="omit"), properties=properties)
    assert verdict is not None
    assert verdict.outcome == "omitted"
    assert stored["properties"] == ({name: properties[name] for name in ("total", "big")} if left is None else left)


def test_nothing_to_take_out_is_allowed() -> None:
    verdict, _ = judged(plan(invalid="omit"), properties=None)
    assert verdict is not None
    assert verdict.outcome == "allowed"


def test_many_bad_items_end() -> None:
    items = {"type": "object", "additionalProperties": {"items": {"type": "string"}}}
    using = compiled({"events": {"E": {"schema": items}}, "invalid": "omit"})
    verdict, stored = judged(using, event="E", properties={f"p{n}": [1] * 20 for n in range(20)})
    assert verdict is not None
    assert stored["properties"] == {}


@pytest.mark.parametrize(
    ("action", "outcome", "left"),
    [("ignore", None, {"total": 1, "more": 2}), ("allow", "allowed", {"total": 1, "more": 2}),
     ("omit", "omitted", {"total": 1}), ("quarantine", "rejected", {"total": 1, "more": 2})],
)  # fmt: skip
def test_unplanned_properties(action: str, outcome: str | None, left: dict[str, Any]) -> None:
    verdict, stored = judged(plan(unplanned_properties=action), properties={"total": 1, "more": 2})
    assert (verdict.outcome if verdict else None) == outcome
    assert stored["properties"] == left


def test_a_rule_may_be_stricter_than_its_plan() -> None:
    rule = {"schema": ORDER, "invalid": "quarantine", "unplanned_properties": "omit"}
    using = compiled({"events": {"Order Completed": rule}})
    assert judged(using, properties={"total": "1"})[0].outcome == "rejected"  # type: ignore[union-attr]
    assert judged(using, properties={"total": 1, "x": 1})[1]["properties"] == {"total": 1}


@pytest.mark.parametrize(("action", "outcome"), [("ignore", None), ("allow", "allowed"), ("quarantine", "rejected")])
def test_unplanned_events(action: str, outcome: str | None) -> None:
    verdict, _ = judged(plan(unplanned_events=action), event="Odd")
    assert (verdict.outcome if verdict else None) == outcome
    if verdict:
        assert (verdict.code, enforce.pointer(verdict, verdict.found[0])) == ("unplanned_event", "/event")


def test_traits_of_an_identify_are_those_of_its_context_too() -> None:
    """rudder-sdk-python sends them only there."""
    rule = {"schema": {"properties": {"age": {"type": "integer"}}, "required": ["plan"]}, "invalid": "omit"}
    using = compiled({"identify": rule, "group": rule})
    context = {"traits": {"age": "old", "plan": "a"}, "page": {"url": "u"}}
    verdict, stored = judged(using, type="identify", context=context)
    assert verdict is not None
    assert stored["context"] == {"traits": {"plan": "a"}, "page": {"url": "u"}}
    verdict, stored = judged(using, type="identify", traits={"age": 7}, context=context)
    assert verdict is None
    verdict, _ = judged(using, type="group", groupId="g", traits={"age": "x", "plan": "b"})
    assert verdict is not None
    assert verdict.outcome == "omitted"


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(40):
    DEEP = {"properties": {"a": DEEP}}
DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)} | {"d30": {"type": "string"}}
CHAIN = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(500)} | {"d500": {}}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "strin"}, "/events/E/schema/type", "strin"),
    ({"properties": {"a": {"minimum": "x"}}}, "/events/E/schema/properties/a/minimum", "number"),
    ({"properties": []}, "/events/E/schema/properties", "object"),
    ({"properties": {"a": {"$ref": "http://169.254.169.254/latest"}}}, "/events/E/schema/properties/a/$ref", "$defs"),
    ({"$ref": "file:///etc/passwd"}, "/events/E/schema/$ref", "$defs"),
    ({"$ref": "#"}, "/events/E/schema/$ref", "$defs"),
    ({"$ref": "#/$defs/none"}, "/events/E/schema/$ref", "$defs"),
    ({"$ref": 7}, "/events/E/schema/$ref", "$defs"),
    ({"$id": "http://evil.example/"}, "/events/E/schema/$id", "supported"),
    ({"$schema": "http://evil.example/x"}, "/events/E/schema/$schema", "2020-12"),
    ({"allOf": [{"$dynamicRef": "#x"}]}, "/events/E/schema/allOf/0/$dynamicRef", "supported"),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "/events/E/schema/$defs", "circle"),
    ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, "/events/E/schema/$defs/a", "circle"),
    ({"$defs": DOUBLING, "$ref": "#/$defs/d0"}, "/events/E/schema/$defs", "1000 subschemas"),
    ({"$defs": CHAIN, "$ref": "#/$defs/d0"}, "/events/E/schema/$defs", "levels"),
    ({"anyOf": [{"const": n} for n in range(2000)]}, "/events/E/schema", "1000 subschemas"),
    ({"$defs": []}, "/events/E/schema/$defs", "object"),
    ({"properties": {"a": {"pattern": "(a+)+(?=b)"}}}, "/events/E/schema/properties/a/pattern", "regex"),
    ({"pattern": "a{1,1000}{1,1000}"}, "/events/E/schema/pattern", "regex"),
    ({"patternProperties": {"(": {}}}, "/events/E/schema/patternProperties", "regex"),
    ({"title": "a\0b"}, "/events/E/schema/title", "NUL"),
    ({"title": "\ud800"}, "/events/E/schema/title", "surrogate"),
    ({"minimum": float("inf")}, "/events/E/schema/minimum", "finite"),
    (DEEP, "/events/E/schema/properties/a", "deeper"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "path", "why"), BAD)
def test_bad_schemas_are_refused_by_path(schema: dict[str, Any], path: str, why: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        compiled({"events": {"E": {"schema": schema}}})
    assert refused.value.errors[0].pointer.startswith(path)
    assert why in refused.value.detail


def test_the_same_event_twice_is_refused() -> None:
    with pytest.raises(Unprocessable, match="twice"):
        compiled({"events": {"Order Completed": {"schema": {}}, "Completed Order": {"schema": {}}}})


def test_definitions_of_its_own_are_followed() -> None:
    schema = {"$defs": {"a/b": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a~1b"}}}
    using = compiled({"events": {"schema": {"schema": schema, "unplanned_properties": "allow"}}})
    assert judged(using, event="schema", properties={"x": "1"})[0] is None
    assert judged(using, event="schema", properties={"x": 1})[0] is not None


def test_a_pattern_takes_time_by_the_length_of_the_text() -> None:
    """`(a|a)*$` takes a backtracking engine 2^n steps."""
    using = compiled({"events": {"E": {"schema": {"properties": {"x": {"pattern": "^(a|a)*$"}}}}}})
    started = time.perf_counter()
    verdict, _ = judged(using, event="E", properties={"x": "a" * 20_000 + "!"})
    assert verdict is not None
    assert time.perf_counter() - started < 2


MANY = {"properties": {"items": {"items": {"anyOf": [{"const": n} for n in range(500)]}}}}


@pytest.mark.parametrize(("count", "outcome"), [(6_000, "rejected"), (50, "rejected"), (5, "omitted")])
def test_the_worst_schema_takes_a_bounded_time(count: int, outcome: str) -> None:
    """Six thousand items times five hundred alternatives are minutes of errors, each with its reasons."""
    using = compiled({"events": {"E": {"schema": MANY, "invalid": "omit"}}})
    started = time.perf_counter()
    verdict, _ = judged(using, event="E", properties={"items": ["x"] * count})
    assert verdict is not None
    assert verdict.outcome == outcome
    assert time.perf_counter() - started < 5
    allowing = compiled({"events": {"E": {"schema": MANY}}})
    verdict, _ = judged(allowing, event="E", properties={"items": ["x"] * count})
    assert verdict is not None
    assert verdict.outcome == "allowed"


async def test_a_whole_batch_takes_a_bounded_time() -> None:
    """Each event alone is cheap enough to be explained."""
    using = compiled({"events": {"E": {"schema": MANY, "invalid": "omit"}}})
    event = {"type": "track", "event": "E", "userId": "u", "properties": {"items": ["x"] * 4}}
    arrival = events.Arrival("web", datetime.now(UTC), Envelope([msgspec.Raw(json.dumps(event).encode())] * 2_500))
    accepted, rejected = events.judge(arrival)
    gc.collect()
    gc.freeze()  # as a process does when it starts
    gaps: list[float] = []
    others = asyncio.create_task(_turns(gaps))
    await asyncio.sleep(0)
    started = time.thread_time()
    kept, refused, noted = await enforce.enforce(using, arrival, accepted, rejected)
    assert time.thread_time() - started < 0.5
    others.cancel()
    gc.unfreeze()
    assert len(gaps) > 2, "others had their turns"
    assert max(gaps) < 0.15
    assert len(kept) + len(refused) == len(noted) == 2_500
    assert {one.code for one in refused} == {"plan_violation"}


async def _turns(gaps: list[float]) -> None:
    while True:
        started = time.thread_time()
        await asyncio.sleep(0)
        gaps.append(time.thread_time() - started)


def test_what_a_part_of_the_schema_names_is_planned() -> None:
    part = {"allOf": [{"properties": {"a": {}}}], "$defs": {"b": {"properties": {"b": {}}}}, "$ref": "#/$defs/b"}
    using = compiled({"events": {"E": {"schema": part, "unplanned_properties": "omit"}}})
    assert judged(using, event="E", properties={"a": 1, "b": 2})[0] is None
    assert judged(using, event="E", properties={"a": 1, "c": 2})[1]["properties"] == {"a": 1}


def test_a_closed_schema_is_closed_whatever_the_plan_says() -> None:
    closed = {"properties": {"a": {}}, "additionalProperties": False}
    using = compiled({"events": {"E": {"schema": closed, "invalid": "quarantine"}}})
    verdict, _ = judged(using, event="E", properties={"a": 1, "c": 2})
    assert verdict is not None
    assert (verdict.outcome, enforce.pointer(verdict, verdict.found[0])) == ("rejected", "/properties/c")
