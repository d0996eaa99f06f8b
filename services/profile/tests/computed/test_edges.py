"""Where feeds are shared and cleared away, who sees what, and keys that two want."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.computed import backfill, prune
from perennial.profile.computed.derive import served, values

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Declare = Callable[..., Awaitable[httpx.Response]]
Build = Callable[[], Awaitable[int]]
NOW = datetime.now(UTC)
BOUGHT: dict[str, Any] = {"events": ["Bought"], "function": "count"}


def bought(via: Any, days: Iterable[float]) -> list[ResolvedEvent]:
    return [tracked("Bought", via=via, at=NOW - timedelta(days=age), live=False) for age in days]


async def cleared(runtime: Runtime, now: datetime = NOW) -> None:
    async with runtime.database.write() as session:
        while await prune.prune(session, now):
            pass


async def shown_at(runtime: Runtime, via: Any, now: datetime) -> dict[str, Any]:
    async with runtime.database.read() as session:
        found = await values(session, await served(session), [via], now)
    return {key: value.value for key, value in found[via].items()}


@pytest.mark.parametrize(("narrow", "wide", "days"), [("PT6H", "P30D", (2, 9, 29)), ("P40D", "P365D", (30, 99, 364))])
async def test_a_wider_window_finds_what_a_narrower_one_no_longer_needs(
    runtime: Runtime, hear: Hear, declare: Declare, build: Build, narrow: str, wide: str, days: tuple[int, ...]
) -> None:
    via = uuid7()
    assert (await declare("narrow", **BOUGHT, window=narrow)).status_code == 201
    await build()
    await hear(*bought(via, days))
    await cleared(runtime)
    assert (await declare("wide", **BOUGHT, window=wide)).status_code == 201
    await build()
    assert (await shown_at(runtime, via, NOW))["wide"] == len(days)


async def test_a_month_that_is_over_here_is_kept_where_it_is_not(
    runtime: Runtime, hear: Hear, declare: Declare, build: Build
) -> None:
    via, begun = uuid7(), datetime(2026, 6, 1, 3, tzinfo=UTC)
    await declare("this_month", **BOUGHT, window="month", timezone="America/Los_Angeles")
    await build()
    await hear(tracked("Bought", via=via, at=begun - timedelta(days=20), live=False))
    await cleared(runtime, begun)
    assert (await shown_at(runtime, via, begun))["this_month"] == 1, "there it is the evening of the 31st of May"
    assert (await shown_at(runtime, via, begun + timedelta(hours=4)))["this_month"] == 0


async def test_sums_by_currency_are_no_words_to_be_given_up(
    runtime: Runtime, hear: Hear, declare: Declare, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "MOST_WORDS", 1)
    via = uuid7()
    await declare("spent", events=["Bought"], function="sum", property="price", money=True)
    await build()
    await hear(*(tracked("Bought", {"price": 1, "currency": code}, via=via) for code in ("USD", "EUR", "CNY")))
    await cleared(runtime)
    async with runtime.database.read() as session:
        sums = await session.execute(text("SELECT word, total FROM computed_partial ORDER BY word"))
        assert [(row.word, int(row.total)) for row in sums] == [("CNY", 1), ("EUR", 1), ("USD", 1)]


async def test_one_identifier_with_more_events_than_a_step_is_counted_in_pieces(
    runtime: Runtime, hear: Hear, declare: Declare, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "AT_ONCE", 2)
    via = uuid7()
    await hear(*bought(via, range(5)))
    await declare("bought", **BOUGHT)
    await build()
    assert (await shown_at(runtime, via, NOW))["bought"] == 5


async def test_a_name_of_blanks_is_none(declare: Declare) -> None:
    refused = await declare("blank", function="count", events=[" "])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/events")


async def test_two_kinds_of_traits_never_share_a_key(declare: Declare, client: httpx.AsyncClient, build: Build) -> None:
    trait = {"key": "score", "label": {"en": "Score"}, "type": "number"}
    await declare("score", **BOUGHT)
    refused = await client.post("/v1/traits", json=trait)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/key")
    await build()
    await client.delete("/v1/computed-traits/score", headers={"If-Match": '"1"'})
    assert (await client.post("/v1/traits", json=trait)).status_code == 201
    body = {"key": "score", "label": {"en": "Score"}, **BOUGHT}
    again = await client.post("/v1/computed-traits", json=body, headers={"Idempotency-Key": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "key_taken")


async def test_a_computed_trait_is_masked_by_its_definition_wherever_it_stands(
    hear: Hear, derive: Build, build: Build, declare: Declare, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    via = uuid7()
    await hear(identified({"name": "Ada"}, via=via), tracked("Bought", {"colour": "red"}, via=via))
    await declare("bought", **BOUGHT)
    for key, sensitivity in (("open_one", "public"), ("own_one", None), ("secret_one", "sensitive")):
        await declare(key, events=["Bought"], function="last", property="colour", sensitivity=sensitivity)
    await build()
    await derive()
    for fields, seen in (((), {"open_one"}), (("personal",), {"open_one", "own_one"})):
        headers = {"Authorization": f"Bearer {token('customers:read', fields=list(fields))}"}
        page = (await client.get(f"/v1/customers/{via}", headers=headers)).json()["attributes"]["computed"]
        [item] = (await client.get("/v1/customers", headers=headers)).json()["items"]
        for shown in (page, item["computed"]):
            assert shown["bought"] == 1, "a figure is public"
            assert {key for key, value in shown.items() if value == "red"} == seen
