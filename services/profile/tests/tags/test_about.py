"""Of whom but events are new, only what looks at these is asked: what they show is what all of it would come to."""

import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.problems import NotFound, Unprocessable
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.profile.tags import recompute
from perennial.profile.tags.assignments import service as assignments
from perennial.profile.tags.assignments.schemas import Giving
from perennial.profile.tags.definitions.compiled import compiled, of_rules

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
NAMES = ("Product Viewed", "Product Added", "Product List Viewed", "Checkout Started", "Email Opened", "Unheard Of")
PEOPLE = 3
EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "25"))
SAID = ("product", "product", "page", "screen", "order", "order", "refund", "identify", "search")
PLACES = (*SAID, "merge", "split", "give", "give", "toggle", "sweep", *("derive",) * 3)
TOGGLED = ("browsed_this_week", "aged_35_to_49", "cares_about_price", "checkout_abandoner", "vip", "loved_vip")
STAFF = Principal("staff", "tester", frozenset("*"), fields=frozenset("*"))
LOVED = {"all": [{"trait": "tags", "contains": "vip"}, {"event": "Product Added", "within": "P30D"}]}
steps = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.integers(0, PEOPLE - 1),
        st.sampled_from([0, 1, 6, 29, 40, 95]),
        st.sampled_from(NAMES),
    ),
    min_size=4,
    max_size=24,
)


def happened(kind: str, via: UUID, at: datetime, number: int, name: str) -> ResolvedEvent:
    """An event of this kind."""
    if kind == "identify":
        return identified({"age": 20 + number, "plan": "pro"}, via=via, at=at)
    if kind == "search":
        return tracked("Products Searched", {"query": "cheap and fast delivery"}, via=via, at=at)
    if kind in {"order", "refund"}:
        said = {"order_id": str(number % 3), "revenue": 40 + number, "currency": "USD"}
        return tracked("Order Completed" if kind == "order" else "Order Refunded", said, via=via, at=at)
    if kind == "product":
        return tracked(name, {"product_id": "1"}, via=via, at=at)
    return msgspec.structs.replace(tracked("", via=via, at=at), type=kind, name=None)


async def prepare(runtime: ServiceRuntime) -> None:
    """A tag that looks at tags; and all of them are in use."""
    async with runtime.database.write() as session:
        loved = text("""INSERT INTO tag_definition (key, label, about, dimension, kind, basis, origin)
                        VALUES ('loved_vip', '{}', '{}', 'value', 'rule', CAST(:basis AS jsonb), 'own')
                        ON CONFLICT DO NOTHING""")
        await session.execute(loved, {"basis": json.dumps({"rule": LOVED})})
        await session.execute(
            text("UPDATE tag_definition SET active = true WHERE key = ANY(:keys)"), {"keys": [*TOGGLED]}
        )


async def changed(runtime: ServiceRuntime, key: str) -> None:
    """A definition is archived, or used again; everybody is to be derived in a while."""
    async with runtime.database.write() as session:
        change = "UPDATE tag_definition SET active = NOT active, version = version + 1 WHERE key = :key"
        await session.execute(text(change), {"key": key})
        await recompute.want(session)


async def gave(runtime: ServiceRuntime, via: UUID, *, held: bool, until: datetime | None) -> None:
    """Somebody gives a tag, or takes it back."""
    async with runtime.database.write() as session:
        with contextlib.suppress(NotFound, Unprocessable):  # nobody knows them yet, or it is archived
            if held:
                await assignments.give(session, STAFF, via, "vip", Giving(why="nice", expires_at=until))
            else:
                await assignments.take_back(session, STAFF, via, "vip")


async def staff(runtime: ServiceRuntime, kind: str, via: UUID, number: int) -> None:
    """What people do besides: they give and take tags, and change what these are."""
    if kind == "toggle":
        await changed(runtime, TOGGLED[number % len(TOGGLED)])
    else:
        until = datetime.now(UTC) + timedelta(days=number) if number > 5 else None
        await gave(runtime, via, held=number > 0, until=until)


async def shown(runtime: ServiceRuntime) -> tuple[dict[UUID, Any], dict[tuple[str, str], datetime]]:
    """What customers show, and when the clock comes to them."""
    async with runtime.database.read() as session:
        rows = (
            await session.execute(
                text("""SELECT customer_id, computed, tags, stage, first_seen, last_seen, events,
                       ARRAY(SELECT key || ' ' || by FROM customer_tag AS t WHERE t.customer_id = c.customer_id
                             ORDER BY key) AS given FROM customer AS c""")
            )
        ).mappings()
        found = {row["customer_id"]: {**row} for row in rows}
        timers = await session.execute(text("SELECT kind, key, due_at FROM timer WHERE kind IN ('tags', 'stages')"))
        return found, {(kind, key): due for kind, key, due in timers}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=steps)
@pytest.mark.usefixtures("catalogue")
async def test_what_is_asked_in_part_comes_to_what_all_of_it_comes_to(
    story: list[tuple[str, int, int, str]], hear: Hear, assign: Hear, derive: Derive, derive_at: Derive,
    listen: Derive, fire: Hear, runtime: ServiceRuntime,
) -> None:  # fmt: skip
    await prepare(runtime)
    now, vias = datetime.now(UTC), [uuid7() for _ in range(PEOPLE)]
    batch: list[ResolvedEvent] = []
    for place, (kind, who, number, name) in enumerate(story):
        if kind in SAID:
            at = now - timedelta(days=number, seconds=place)
            event = happened(kind, vias[who], at, number, name)
            batch.append(msgspec.structs.replace(event, live=name != "Email Opened"))
        if batch and (kind not in SAID or place % 3 == 0):
            await hear(*batch)
            await listen()
            batch.clear()
        match kind:
            case "derive":
                await derive()
            case "merge" | "split":
                await assign(vias[0 if kind == "merge" else who], vias[who], version=place + 2)
            case "give" | "toggle":
                await staff(runtime, kind, vias[who], number)
            case "sweep":
                await fire(recompute.RECOMPUTE)
    await hear(*batch)
    await fire(recompute.RECOMPUTE)
    await derive()
    partly, sooner = await shown(runtime)
    await derive_at(datetime.now(UTC), vias[0], *(via for via in vias[1:] if via in partly))
    wholly, exact = await shown(runtime)
    assert {via: partly.get(via) for via in vias} == {via: wholly.get(via) for via in vias}
    for timer, due in exact.items():
        if timer[1] in map(str, vias):
            assert sooner[timer] <= due + timedelta(seconds=1)


async def told(runtime: ServiceRuntime, statement: str, **values: Any) -> Any:
    async with runtime.database.write() as session:
        found = await session.execute(text(statement), values)
        return found.scalar_one() if statement.startswith("SELECT") else None


def test_names_that_no_rule_knows_are_compiled_once() -> None:
    serving = of_rules([compiled("seen", "rule", 1, json.dumps({"rule": {"event": "Product Viewed"}}), None)])
    made_up = [serving.about(frozenset({"Product Viewed", f"Clicked {n}"})) for n in range(3)]
    assert made_up[0] is made_up[1] is made_up[2]
    assert (set(made_up[0].ruled), set(serving.about(frozenset({"Clicked"})).ruled)) == ({"seen"}, set())


@pytest.mark.usefixtures("catalogue")
async def test_a_view_has_no_orders_counted(hear: Hear, derive: Derive, runtime: ServiceRuntime) -> None:
    via, now = uuid7(), datetime.now(UTC)
    await hear(happened("order", via, now, 1, ""))
    await derive()
    await told(runtime, "UPDATE customer SET computed = jsonb_set(computed, '{orders}', '77')")
    await hear(tracked("Product Viewed", via=via, at=now))
    await derive()
    one = "SELECT computed ->> 'orders' FROM customer WHERE customer_id = :via"
    assert await told(runtime, one, via=via) == "77", "nobody looked"
    assert "browsed_this_week" in await told(runtime, "SELECT tags FROM customer WHERE customer_id = :via", via=via)
    await hear(happened("order", via, now, 2, ""))
    await derive()
    assert await told(runtime, one, via=via) == "2"


@pytest.mark.usefixtures("catalogue")
async def test_whoever_was_derived_about_when_definitions_changed_is_asked_everything(
    hear: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    """Who appeared during the change is in nobody's marks, and may have been derived by what was served before."""
    via, now = uuid7(), datetime.now(UTC)
    await hear(happened("order", via, now, 1, ""))
    await derive()
    await told(runtime, "UPDATE customer SET computed = computed - 'orders'")
    await told(runtime, "UPDATE computed_trait SET ready_at = now() - interval '1 second' WHERE key = 'orders'")
    await hear(tracked("Product Viewed", via=via, at=now))
    await derive()
    assert await told(runtime, "SELECT computed ->> 'orders' FROM customer WHERE customer_id = :via", via=via) == "1"


@pytest.mark.usefixtures("catalogue")
async def test_who_has_a_row_but_was_never_derived_is_asked_everything(
    hear: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    """The traits of an import are there at once; what else it changes waits, and a live event does not."""
    via, now = uuid7(), datetime.now(UTC)
    await hear(identified({"age": 40}, via=via, at=now))
    await told(runtime, "DELETE FROM stale")
    await hear(tracked("Product Viewed", via=via, at=now))
    await told(runtime, "DELETE FROM stale WHERE concern IS NULL")
    await derive()
    tags = await told(runtime, "SELECT tags FROM customer WHERE customer_id = :via", via=via)
    assert {"aged_35_to_49", "browsed_this_week"} <= set(tags)


@pytest.mark.usefixtures("catalogue")
async def test_an_order_that_somebody_else_speaks_of_counts_for_who_only_looked_around(
    hear: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    """A shop's server tells of a buyer who views a product in the same batch, and of whom but that is known."""
    buyer, server, now = uuid7(), uuid7(), datetime.now(UTC)
    await hear(happened("order", buyer, now - timedelta(days=2), 1, ""))
    await derive()
    one = "SELECT computed ->> 'orders' FROM customer WHERE customer_id = :via"
    assert await told(runtime, one, via=buyer) == "1"
    cancelled = tracked("Order Cancelled", {"order_id": "1"}, via=server, at=now)
    await hear(cancelled, tracked("Product Viewed", via=buyer, at=now))
    await derive()
    assert await told(runtime, one, via=buyer) == "0"
