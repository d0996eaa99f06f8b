"""Of whom but events are new, only what looks at these is asked: what they show is what all of it would come to."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
NAMES = ("Product Viewed", "Product Added", "Product List Viewed", "Checkout Started", "Email Opened", "Unheard Of")
PEOPLE = 3
SAID = ("product", "product", "page", "screen", "order", "order", "refund", "identify", "search")
PLACES = (*SAID, "imported", "merge", "split", "give", "give", "toggle", "sweep", *("derive",) * 3)
TOGGLED = ("browsed_this_week", "aged_35_to_49", "gift_seeker")
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
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(story=steps)
@pytest.mark.usefixtures("catalogue")
async def test_what_is_asked_in_part_comes_to_what_all_of_it_comes_to(
    story: list[tuple[str, int, int, str]], hear: Hear, derive: Derive, derive_at: Derive, listen: Derive,
    runtime: ServiceRuntime,
) -> None:  # fmt: skip
    now, vias = datetime.now(UTC), [uuid7() for _ in range(PEOPLE)]
    for place, (kind, who, number, name) in enumerate(story):
        if kind == "derive":
            await derive()
        else:
            at = now - timedelta(days=number, seconds=place)
            await hear(happened(kind, vias[who], at, number, name))
        if kind == "search":
            await listen()
    await derive()
    partly, sooner = await shown(runtime)
    await derive_at(datetime.now(UTC), *(via for via in vias if via in partly))
    wholly, exact = await shown(runtime)
    assert {via: partly.get(via) for via in vias} == {via: wholly.get(via) for via in vias}
    for timer, due in exact.items():
        assert sooner[timer] <= due + timedelta(seconds=1)


async def told(runtime: ServiceRuntime, statement: str, **values: Any) -> Any:
    async with runtime.database.write() as session:
        found = await session.execute(text(statement), values)
        return found.scalar_one() if statement.startswith("SELECT") else None


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
