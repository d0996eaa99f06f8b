"""Outliers of every type that has an order; what no type expects breaks nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified
from perennial.profile.quality.findings import records
from perennial.profile.quality.measuring import service
from perennial.profile.quality.rules.guards import digest
from perennial.profile.quality.rules.scales import Scale

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = "/v1/quality/rules"


def _money(amount: int, currency: str = "CNY") -> dict[str, str]:
    return {"amount": str(amount), "currency": currency}


CASES: dict[str, tuple[dict[str, Any], list[Any], Any, Any, Any]] = {
    # the type, what is usual, what is not, what is of another kind, and what becomes of the outlier when it is clipped
    "number": ({"type": "number"}, [str(36 + n % 10) for n in range(40)], "900", None, 50.5),
    "money": (
        {"type": "money"}, [_money(100 + n % 20) for n in range(40)], _money(99_000), _money(99_000, "JPY"),
        {"amount": "130", "currency": "CNY"},
    ),
    "date": (
        {"type": "date"}, [f"2026-03-{1 + n % 20:02}" for n in range(40)], "1900-01-01", "2026-03-29", "2026-02-18",
    ),
    "datetime": (
        {"type": "datetime"}, [f"2026-03-01T{n % 20:02}:00:00Z" for n in range(40)], "2031-01-01T00:00:00+08:00",
        "2026-03-02T05:30:00Z", "2026-03-02T06:00:00Z",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("action", ["clip", "quarantine"])
async def test_values_are_compared_as_their_type_says(
    case: str, action: str, hear: Hear, get: Show, measure: Any, rule: Any, client: httpx.AsyncClient, operate: Any
) -> None:
    kind, usual, outlier, other, clipped = CASES[case]
    answer = await client.post("/v1/traits", json={"key": "size", "label": {"en": "Size"}, **kind})
    assert answer.status_code == 201, answer.text
    stored = uuid7()
    await hear(
        *[identified({"size": value}, via=uuid7(), at=NOON) for value in usual],
        identified({"size": outlier}, via=stored, at=NOON),
    )
    made = await rule(kind="outlier", key="size", action=action)
    await measure()
    found = await get(f"{RULES}/{made['id']}")
    assert (found["ready"], found["baseline"]["of"]) == (True, case)
    assert found["baseline"]["unit"] == ("CNY" if case == "money" else None)
    via, fine = uuid7(), uuid7()
    await hear(
        identified({"size": outlier}, via=via, at=NOON),
        *([identified({"size": other}, via=fine, at=NOON)] if other is not None else []),
    )
    expected = clipped if action == "clip" else None
    for one in (via, stored):
        if one is stored:
            assert (await operate(f"{RULES}/{made['id']}/apply"))["caught"] >= 1
        traits = (await get(f"/v1/customers/{one}"))["traits"] if action == "clip" else {}
        assert traits.get("size") == expected, found["baseline"]
    if other is not None:
        assert (await get(f"/v1/customers/{fine}"))["traits"]["size"] == other, "not judged, or usual"
    kept = (await get("/v1/quality/findings", rule=made["id"]))["items"]
    assert {one["state"] for one in kept} == {"open"}


async def test_texts_are_numbers_only_where_the_type_says_so(hear: Hear, get: Show, measure: Any, rule: Any) -> None:
    await hear(*[identified({"code": str(36 + n % 10)}, via=uuid7()) for n in range(40)])
    made = await rule(kind="outlier", key="code")
    await measure()
    assert not (await get(f"{RULES}/{made['id']}"))["ready"]


async def test_numbers_beyond_all_measure_stop_nobody(
    hear: Hear, get: Show, measure: Any, rule: Any, session: WriteSession
) -> None:
    vast = msgspec.Raw(b"1e400")
    await hear(
        *[identified({"size": 36 + n % 10}, via=uuid7()) for n in range(40)],
        identified({"size": vast}, via=uuid7()),
    )
    made = await rule(kind="outlier", key="size", action="null")
    await measure()
    baseline = (await get(f"{RULES}/{made['id']}"))["baseline"]
    assert baseline["count"] == 40
    via = uuid7()
    await hear(identified({"size": msgspec.Raw(b"9e2")}, via=via))
    assert "size" not in (await get(f"/v1/customers/{via}"))["traits"], "900 however it is written"
    assert len(digest(session, "size", "1e999999999")) == 16, "and not a gigabyte of zeros first"
    assert digest(session, "size", "1e3") == digest(session, "size", "1000.0")


@pytest.mark.parametrize(
    "said", ["null", "true", '"x"', "{}", "[1]", '{"amount":"x","currency":"CNY"}', "NaN", "1e999"]
)
@pytest.mark.parametrize("kind", ["plain", "number", "money", "date", "datetime"])
def test_what_has_no_place_on_a_scale_is_not_judged(kind: str, said: str) -> None:
    assert Scale(kind, "CNY").number(said) is None


@pytest.mark.parametrize(
    ("scale", "low", "high", "expected"),
    [
        (Scale("number", whole=True), "1.2", "1.8", ("1", "2")),
        (Scale("number", whole=True), "-2.5", "3.5", ("-2", "3")),
        (Scale("money", "CNY"), "0.333", "9.999", ("0.34", "9.99")),
        (Scale("date", whole=True), "-1e9", "1e9", ("-62091", "376199")),
        (Scale(), "1.25", "1.5", ("1.25", "1.5")),
    ],
    ids=["none between", "whole", "money", "date", "plain"],
)
def test_limits_are_values_themselves_and_never_cross(scale: Scale, low: str, high: str, expected: Any) -> None:
    found = scale.bounds(Decimal(low), Decimal(high))
    assert found == tuple(map(Decimal, expected))
    assert [scale.number(scale.json(limit)) for limit in found] == list(found)


async def test_a_rule_on_duplicates_acts_when_all_is_indexed(
    hear: Hear, get: Show, rule: Any, measure: Any, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 1)
    first, second = uuid7(), uuid7()
    await hear(identified({"code": "x"}, via=first, at=NOON))
    await rule(kind="duplicate", key="code", action="quarantine")
    await hear(identified({"code": "x"}, via=second, at=NOON + timedelta(minutes=1)))
    await hear(identified({"code": "x"}, via=first, at=NOON + timedelta(minutes=2)))
    assert (await get(f"/v1/customers/{first}"))["traits"]["code"] == "x", "hers before anybody had looked"
    await measure()
    third = uuid7()
    await hear(identified({"code": "x"}, via=third, at=NOON + timedelta(minutes=3)))
    assert "code" not in (await get(f"/v1/customers/{third}"))["traits"]


async def test_who_gives_what_very_many_give_may_say_it_again(
    hear: Hear, get: Show, rule: Any, measure: Any, session: WriteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    vias = sorted(uuid7() for _ in range(6))
    await hear(*[identified({"code": "x"}, via=via, at=NOON) for via in vias])
    await rule(kind="duplicate", key="code", action="null")
    await measure()
    cut = text(str(records._HOLDERS).replace(str(records.MOST_HOLDERS), "2"))
    monkeypatch.setattr(records, "_HOLDERS", cut)
    monkeypatch.setattr(records, "MOST_HOLDERS", 2)
    await hear(*[identified({"code": "x"}, via=via, at=NOON + timedelta(minutes=1)) for via in vias])
    values = (await session.execute(text("SELECT value FROM trait WHERE key = 'code'"))).scalars().all()
    assert values == ["x"] * 6
