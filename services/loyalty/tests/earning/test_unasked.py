"""What no rule asks about costs no row, and is counted from the moment on at which one does."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import EventsResolved, ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.decode import resolved
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.loyalty import worker

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def message(*events: ResolvedEvent) -> Any:
    data, metadata = (
        msgspec.json.encode(EventsResolved(list(events))),
        SimpleNamespace(num_delivered=1, stream="EVENTS"),
    )
    return SimpleNamespace(data=data, headers={}, subject="events", metadata=metadata)


async def test_what_nobody_asks_about_costs_no_row(service: Any, settings: Any, committing: Any) -> None:
    via = uuid7()
    async with committing() as shop:
        database = shop.runtime.database
    process = BatchProcessor(
        ServiceRuntime(service, settings, database, nats=cast("Any", None)), worker.REACTIONS, resolved
    )
    views = [tracked("Product Viewed", {"product_id": "p"}, via=via) for _ in range(3)]
    others = [identified({"plan": "pro"}, via=via), tracked("Survey", {}, via=via)]
    order, birthday = tracked("Order Completed", {"order_id": "1", "revenue": 5}, via=via), identified(
        {"birthday": "1990-05-18"}, via=via
    )  # fmt: skip
    heard = "SELECT event_id FROM inbox WHERE event_id = ANY(:ids)"
    ids = {"ids": [event.id for event in (*views, *others, order, birthday)]}

    await process([message(*views, *others, order, birthday)])
    async with committing() as shop:
        assert set((await shop.session.execute(text(heard), ids)).scalars()) == {order.id, birthday.id}
        await shop.programme(LONG_AGO, earn_rules=[{"name": "s", "event": "Survey", "per": "event"}])
    await process([message(*views, *others)])
    async with committing() as shop:
        assert set((await shop.session.execute(text(heard), ids)).scalars()) == {order.id, birthday.id, others[1].id}
        assert await shop.balance(via) == 5 + 1
        await shop.prove()


@pytest.mark.parametrize(
    ("event", "tells"),
    [
        (identified({"birthday": None}), True),
        (identified({"plan": "pro"}), False),
        (tracked("Survey", {"birthday": "1990-05-18"}), False),
    ],
    ids=["birthday", "plan", "survey"],
)
def test_only_who_tells_a_birthday_is_heard(event: ResolvedEvent, tells: bool) -> None:
    assert worker.tells_birthday(event) is tells


def test_an_escaped_word_hides_nothing() -> None:
    event = msgspec.structs.replace(identified({}), body=msgspec.Raw(b'{"traits": {"\\u0062irthday": "1990-05-18"}}'))
    assert worker.tells_birthday(event)
