"""Computing while the database is at work: a batch waits for both at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Found = TypeVar("Found")
Made = TypeVar("Made")


async def beside(work: Coroutine[Any, Any, Found], make: Callable[[], Awaitable[Made]]) -> tuple[Found, Made]:
    """Begin with the work, make what needs nothing of it, and wait; nothing goes on when this has ended.

    Only one of both may use a session.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.sleep(0)  # it begins
        made = await make()
        return await task, made
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
