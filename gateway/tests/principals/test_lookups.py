"""Looking up what a process does not know."""

import asyncio
from collections.abc import Sequence

import pytest

from perennial.common.problems import Unavailable
from perennial.gateway.principals import lookups as module
from perennial.gateway.principals.lookups import Lookups


class Table:
    def __init__(self, *there: int) -> None:
        self.there = set(there)
        self.asked: list[list[int]] = []
        self.error: Exception | None = None

    async def ask(self, keys: Sequence[int]) -> set[int]:
        self.asked.append(sorted(keys))
        if self.error:
            raise self.error
        return self.there & set(keys)


async def test_those_who_ask_together_are_answered_together() -> None:
    table = Table(1)
    lookups = Lookups[int](table.ask)
    await asyncio.gather(*(lookups.look(key) for key in (1, 2, 3, 1, 2)))
    assert table.asked == [[1, 2, 3]]
    await asyncio.gather(*(lookups.look(key) for key in (2, 4)))
    assert table.asked == [[1, 2, 3], [4]]


async def test_what_is_absent_may_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ABSENT_SECONDS", 0.0)
    table = Table()
    lookups = Lookups[int](table.ask)
    await lookups.look(1)
    await lookups.look(1)
    assert table.asked == [[1], [1]]


async def test_an_outage_is_no_refusal() -> None:
    table = Table(1)
    table.error = ConnectionError("away")
    lookups = Lookups[int](table.ask)
    for found in await asyncio.gather(lookups.look(1), lookups.look(2), return_exceptions=True):
        assert isinstance(found, Unavailable)
    table.error = None
    await lookups.look(1)
    assert table.asked[-1] == [1]


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    monkeypatch.setattr(module, "MOST_ABSENT", 2)
    lookups = Lookups[int](Table().ask)
    answers = await asyncio.gather(*(lookups.look(key) for key in range(5)), return_exceptions=True)
    assert [isinstance(answer, Unavailable) for answer in answers] == [False] * 3 + [True] * 2
    assert len(lookups._absent) == 2


async def test_who_gives_up_takes_nobody_along() -> None:
    table = Table(1)
    lookups = Lookups[int](table.ask)
    impatient, patient = asyncio.create_task(lookups.look(1)), asyncio.create_task(lookups.look(1))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert table.asked == [[1]]
