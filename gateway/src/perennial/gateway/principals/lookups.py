"""What this process does not know yet is asked of the database once, and together: garbage costs next to nothing."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from perennial.common.problems import Unavailable

GATHER_SECONDS = 0.05
ABSENT_SECONDS = 5.0
MOST_WAITING = 1_000
MOST_ABSENT = 20_000

K = TypeVar("K", bound=Hashable)


class Lookups(Generic[K]):
    """At most twenty questions a second, each about whatever was asked meanwhile.

    `ask` notes what it finds where its users look for it; the keys it returns were found.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[set[K]]]) -> None:
        self._ask = ask
        self._waiting: dict[K, asyncio.Future[None]] = {}
        self._absent: OrderedDict[K, float] = OrderedDict()
        self._asking: asyncio.Task[None] | None = None

    async def look(self, key: K) -> None:
        """Return when the database was asked for a key, or was a moment ago.

        Raises Unavailable when it does not answer, or when too many are asking.
        """
        if self._absent.get(key, 0.0) > time.monotonic():
            return
        if key not in self._waiting:
            if len(self._waiting) >= MOST_WAITING:
                raise Unavailable("too many unknown keys are being looked up, try again", retry_after=1)
            self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask_all())
        await asyncio.shield(self._waiting[key])

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                asked, self._waiting = self._waiting, {}
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: dict[K, "asyncio.Future[None]"]) -> None:
        try:
            found = await self._ask(list(asked))
        except Exception:  # noqa: BLE001 (whatever it is, nobody can say who these are)
            for future in asked.values():
                future.set_exception(Unavailable("the key cannot be looked up right now, try again"))
                future.exception()  # whoever asked may be gone
            return
        until = time.monotonic() + ABSENT_SECONDS
        for key, future in asked.items():
            if key not in found:
                self._absent[key] = until
            future.set_result(None)
        while len(self._absent) > MOST_ABSENT:
            self._absent.popitem(last=False)
