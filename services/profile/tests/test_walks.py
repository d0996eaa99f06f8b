"""Walks along journeys: what campaigns said of one last, by its time, is what the 360 shows."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Fact = EnrolmentStarted | EnrolmentEnded
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def facts(via: UUID, last: int) -> list[Fact]:
    """One walk: begun, ended by a merge, begun again as it is undone, and completed; the first `last` of these."""
    own: dict[str, Any] = {"enrolment_id": uuid7(), "journey_id": uuid7(), "via": via, "customer": via}
    times = [NOON + timedelta(hours=number) for number in range(4)]
    told: list[Fact] = [
        EnrolmentStarted(**own, journey_version=1, occurred_at=times[0]),
        EnrolmentEnded(**own, reason="merged", occurred_at=times[1]),
        EnrolmentStarted(**own, journey_version=1, occurred_at=times[2]),
        EnrolmentEnded(**own, reason="completed", occurred_at=times[3]),
    ]
    return told[:last]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (2, ("2026-05-01T12:00:00Z", "2026-05-01T13:00:00Z", "merged")),
        (3, ("2026-05-01T14:00:00Z", None, None)),
        (4, ("2026-05-01T14:00:00Z", "2026-05-01T15:00:00Z", "completed")),
    ],
)
async def test_a_walk_that_goes_on_in_every_order(
    hear: Hear, get: Show, last: int, shown: tuple[str, str | None, str | None], *, together: bool
) -> None:
    for order in permutations(range(last)):
        via = uuid7()
        await hear(tracked("A", via=via, at=NOON))
        told = facts(via, last)
        said = [told[place] for place in order]
        for batch in [said] if together else [[fact] for fact in (*said, said[0])]:
            await hear(*batch)
        [walk] = (await get(f"/v1/customers/{via}"))["journeys"]
        assert (walk["started_at"], walk["ended_at"], walk["reason"]) == shown, order


async def test_a_walk_that_ends_as_it_begins_has_ended(hear: Hear, get: Show) -> None:
    for order in permutations(range(2)):
        via = uuid7()
        await hear(tracked("A", via=via, at=NOON))
        told = [fact.model_copy(update={"occurred_at": NOON}) for fact in facts(via, 2)]
        for place in order:
            await hear(told[place])
        [walk] = (await get(f"/v1/customers/{via}"))["journeys"]
        assert walk["reason"] == "merged", order
