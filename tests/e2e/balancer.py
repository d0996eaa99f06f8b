"""One address for several processes, as a Service of a cluster is."""

import asyncio
import itertools
import threading
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from perennial.local.net import HOST, free_port

T = TypeVar("T")


class Balancer:
    """An address whose connections go to one target after the other. It runs in a thread of its own."""

    def __init__(self, targets: Iterable[int] = ()) -> None:
        self.port = free_port()
        self._targets = list(targets)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, HOST, self.port))

    @property
    def url(self) -> str:
        """What clients are told."""
        return f"http://{HOST}:{self.port}"

    def add(self, target: int) -> None:
        """New connections may go there."""
        self._targets = [*self._targets, target]

    def remove(self, target: int) -> None:
        """No new connection goes there; those there are stay."""
        self._targets = [each for each in self._targets if each != target]

    def lead(self, *targets: int) -> None:
        """Lead there from now on, or nowhere; what is connected is cut."""

        async def cut() -> None:
            self._targets = list(targets)
            for task in self._tasks:
                task.cancel()

        self._call(cut())

    def close(self) -> None:
        """Stop listening, and cut all."""
        self.lead()
        self._loop.call_soon_threadsafe(self._server.close)
        time.sleep(0.2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        self._tasks.discard(task)
        writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = self._targets
        if not targets:
            return
        there, back = await asyncio.open_connection(HOST, targets[next(self._numbers) % len(targets)])
        pipes = [asyncio.ensure_future(_pipe(reader, back)), asyncio.ensure_future(_pipe(there, writer))]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            back.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
