"""The loop of a consumer: pull, process, acknowledge; pause on the world's failures, hold on to the messages."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import nats.errors
import structlog
from nats.aio.msg import Msg
from opentelemetry import metrics

from perennial.common import faults
from perennial.common.failures import is_infrastructure
from perennial.common.messaging.pull import CREDIT, Puller
from perennial.common.runtime import Runtime

log = structlog.get_logger()
meter = metrics.get_meter("perennial")
pulled = meter.create_counter("perennial.messages.pulled", description="Messages pulled, repeats included.")
batch_size = meter.create_histogram("perennial.batch.messages", description="Messages in one batch.")
pending = meter.create_gauge("perennial.consumer.pending", description="Messages that wait behind the last batch.")

ACK_WAIT_SECONDS = 30.0
SUSPICIOUS_DELIVERIES = 3

Process = Callable[[list[Msg]], Awaitable[None]]


class Consumer:
    """Runs `process(messages)` until it succeeds, then acknowledges them.

    `process` must itself put aside what can never succeed; any error that escapes it is retried with a growing pause
    while `in_progress` keeps the messages ours.
    """

    def __init__(
        self, runtime: Runtime, stream: str, *durables: str, process: Process, most: int = 64, credit: int = CREDIT
    ) -> None:
        self.name = f"{stream}/{durables[0]}"
        self._stream, self._durables = stream, durables
        self._runtime = runtime
        self._puller = Puller(runtime.nats, stream, *durables, most=most, credit=credit)
        self._process = process

    async def run(self) -> None:
        """Consume for as long as the process lives."""
        pause = 0.25
        while not self._runtime.stopping.is_set():
            self._runtime.beat(self.name)
            try:
                messages = await self._next()
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("consumer.waiting", consumer=self.name, error=repr(error))
                with contextlib.suppress(nats.errors.Error):
                    await self._puller.close()
                await self._runtime.pause(pause)
                pause = min(pause * 2, 5)
                continue
            pause = 0.25
            self._say_pending(messages)
            if messages:
                await self._handle(messages)
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._puller.close()

    async def _next(self) -> list[Msg]:
        """The next messages, or none when the process stops meanwhile."""
        pulling = asyncio.ensure_future(self._puller.batch())
        stopping = asyncio.ensure_future(self._runtime.stopping.wait())
        try:
            await asyncio.wait({pulling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await pulling if pulling.done() else []
        finally:
            stopping.cancel()
            if not pulling.done():
                pulling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pulling

    def _say_pending(self, messages: list[Msg]) -> None:
        """What the broker said with the last message of each durable; nothing waits where it had none to send."""
        waiting = dict.fromkeys(self._durables, 0) if not messages else {}
        waiting |= {message.metadata.consumer: message.metadata.num_pending for message in messages}
        for durable, count in waiting.items():
            pending.set(count, {"stream": self._stream, "consumer": durable})

    async def _handle(self, messages: list[Msg]) -> None:
        pulled.add(len(messages), {"consumer": self.name})
        batch_size.record(len(messages), {"consumer": self.name})
        heartbeat = asyncio.create_task(self._hold(messages))
        try:
            if await self._until_done(messages):
                faults.point(f"{self._runtime.name}.unacknowledged")
                for message in messages:
                    await message.ack()
        except (nats.errors.Error, OSError) as error:  # the ack is lost: the repeat will find itself in the inbox
            log.warning("consumer.ack_lost", consumer=self.name, error=repr(error))
        finally:
            heartbeat.cancel()

    async def _until_done(self, messages: list[Msg]) -> bool:
        pause = 0.25
        while True:
            self._runtime.beat(self.name)
            try:
                await self._process(messages)
            except Exception as error:
                if is_infrastructure(error):
                    log.warning("consumer.paused", consumer=self.name, seconds=pause, error=repr(error))
                else:
                    log.exception("consumer.failed", consumer=self.name)
            else:
                return True
            if await self._runtime.pause(pause):
                return False
            pause = min(pause * 2, 10)

    async def _hold(self, messages: list[Msg]) -> None:
        """Tell the broker, while we work, that the messages are still ours."""
        while True:
            await asyncio.sleep(ACK_WAIT_SECONDS / 3)
            for message in messages:
                with contextlib.suppress(nats.errors.Error, OSError):
                    await message.in_progress()
