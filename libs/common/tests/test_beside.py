"""What is made while the database works: whichever of both fails, nothing goes on behind the caller."""

import asyncio

import pytest

from perennial.common.beside import beside


async def test_both_are_given_and_the_work_has_begun_before_the_other_is_made() -> None:
    begun: list[str] = []

    async def work() -> int:
        begun.append("work")
        await asyncio.sleep(0.01)
        begun.append("worked")
        return 1

    async def make() -> int:
        begun.append("made")
        return 2

    assert await beside(work(), make) == (1, 2)
    assert begun == ["work", "made", "worked"]


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise KeyError("work")

    async def make() -> None:
        pass

    with pytest.raises(KeyError, match="work"):
        await beside(work(), make)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_work_has_ended_when_the_other_fails_or_the_caller_is_cancelled(*, cancelled: bool) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def make() -> None:
        if not cancelled:
            raise ValueError("made")

    both = asyncio.create_task(beside(work(), make))
    await asyncio.sleep(0.01)
    if cancelled:
        both.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else ValueError):
        await both
    assert ended.is_set()
