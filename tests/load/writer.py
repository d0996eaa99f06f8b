"""Profile's worker without a broker: events as its consumers get them, in one process or in a second one beside it."""

import asyncio
import gc
import multiprocessing
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any, NamedTuple, Self, cast
from uuid import UUID

import msgspec
import uvloop
from nats.aio.msg import Msg

from perennial.common.contracts.identity import EventsResolved, ResolvedEvent
from perennial.common.db import Database
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.decode import resolved
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified, tracked
from perennial.profile.main import SERVICE
from perennial.profile.settings import ProfileSettings

BATCH, MESSAGE = 4_000, 50
NAMES = ("Product Viewed", "Product List Viewed", "Product Added", "Checkout Started")
FILLER = "https://shop.example/products/" + "x" * 250


class Share(NamedTuple):
    """What one of the processes writes: events by the marks they are made from, in some of the lanes."""

    marks: Sequence[str]
    mine: range
    lanes: int


class Writer:
    """A service's database and the reactions that a worker would run, by the environment of the service: profile's."""

    def __init__(
        self, vias: Sequence[UUID], service: Service = SERVICE, settings: CommonSettings | None = None
    ) -> None:
        settings = settings or ProfileSettings()  # type: ignore[call-arg]
        self.runtime = ServiceRuntime(service, settings, Database.connect(settings, "bench"), nats=cast("Any", None))
        hot = [reaction for reaction in service.reactions if reaction.hot]
        self.process, self.vias = BatchProcessor(self.runtime, hot, resolved), vias
        gc.freeze()  # as every process of a service does
        gc.set_threshold(50_000, 20, 50)

    def events(self, mark: str) -> list[ResolvedEvent]:
        """Seven views, two orders, one identify in ten, of about 550 bytes, as they happen now."""
        chance, now = random.Random(mark), datetime.now(UTC)
        return [event(mark, n, chance.choice(self.vias), now - timedelta(seconds=n), chance) for n in range(BATCH)]

    def queues(self, share: Share) -> list[list[list[Msg]]]:
        """The batches of each lane, each of partitions of its own."""
        made = [each for mark in share.marks for each in self.events(mark)]
        return [batches(made, lane, share.lanes) for lane in share.mine]

    async def drain(self, queues: Iterable[list[list[Msg]]]) -> None:
        """All batches, a lane beside the other."""

        async def one(queue: list[list[Msg]]) -> None:
            for batch in queue:
                await self.process(batch)

        await asyncio.gather(*map(one, queues))


class Second:
    """Another process that writes its share when it is told to."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    @classmethod
    @contextmanager
    def beside(
        cls, vias: Sequence[UUID], serve: Callable[[Connection, Sequence[UUID]], None] | None = None
    ) -> Iterator[Self]:
        """As long as the block lasts; `serve` is what it does, if it is not profile's writing."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve or _serve, args=(theirs, vias), daemon=True)
        process.start()
        yield cls(ours)
        ours.send(None)
        process.join()

    def prepare(self, share: tuple[Any, ...]) -> None:
        """Have the share ready."""
        self._line.send(share)
        self._line.recv()

    async def write(self) -> float:
        """Write what is ready; the seconds of CPU that it took."""
        self._line.send(True)
        return cast("float", await asyncio.to_thread(self._line.recv))


def _serve(line: Connection, vias: Sequence[UUID]) -> None:
    uvloop.run(_write(line, Writer(vias)))


async def _write(line: Connection, writer: Writer) -> None:
    while (share := line.recv()) is not None:
        queues = writer.queues(share)
        line.send(True)
        line.recv()
        spent = time.process_time()
        await writer.drain(queues)
        line.send(time.process_time() - spent)
    await writer.runtime.database.close()


def event(mark: str, n: int, via: UUID, at: datetime, chance: random.Random) -> ResolvedEvent:
    """One of the mixture."""
    where: dict[str, Any] = {"via": via, "at": at, "message_id": f"{mark}-{n}", "source": chance.choice(["web", "app"])}
    if n % 10 == 0:
        traits = {"firstName": "Some", "plan": chance.choice(["free", "pro"]), "city": "Basel", "url": FILLER}
        return identified({**traits, "age": chance.randrange(18, 90)}, **where)
    product = {"product_id": str(chance.randrange(1000)), "name": "A product", "price": "12.50", "url": FILLER}
    if n % 10 in {1, 2}:
        order = {"order_id": f"{mark}-{n}", "revenue": "12.50", "currency": "USD", "products": [product]}
        return tracked("Order Completed", order, **where)
    return tracked(chance.choice(NAMES), product, **where)


def batches(events: Sequence[ResolvedEvent], lane: int, lanes: int) -> list[list[Msg]]:
    """One lane's, as messages of EVENTS."""
    mine = [each for each in events if each.via.int % lanes == lane]
    return [_messages(mine[start : start + BATCH], lane) for start in range(0, len(mine), BATCH)]


def _messages(events: Sequence[ResolvedEvent], lane: int) -> list[Msg]:
    metadata, subject = SimpleNamespace(num_delivered=1, stream="EVENTS"), f"identity.events.resolved.v1.{lane}"
    return [
        cast(
            "Msg",
            SimpleNamespace(
                data=msgspec.json.encode(EventsResolved(list(events[start : start + MESSAGE]))),
                headers={},
                subject=subject,
                metadata=metadata,
            ),
        )
        for start in range(0, len(events), MESSAGE)
    ]
