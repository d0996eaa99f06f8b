"""Loyalty's worker without a broker: batches of orders, from decoded events to the commit, in one process or two."""

import asyncio
import gc
import itertools
import os
import random
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from uuid import UUID

import uvloop

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import partition_of
from perennial.common.messaging.batch import react
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.loyalty.main import SERVICE
from perennial.loyalty.worker import REACTIONS

ORDERS, LANES = 1_000, 2


class Share(NamedTuple):
    """Some of the lanes, and how many batches each has; each of its own partitions, so no two wait for an account."""

    batches: int
    mine: range
    lanes: int


class Worker:
    """A database and the reactions that a worker would run, by the environment of the service."""

    def __init__(self, vias: Sequence[UUID]) -> None:
        self.database = Database.connect(SERVICE.settings(), "bench")  # type: ignore[call-arg]
        self.runtime = ServiceRuntime(SERVICE, self.database.info["settings"], self.database, nats=None)  # type: ignore[arg-type]
        self.vias, self._number = vias, itertools.count()
        self._ready: list[list[list[ResolvedEvent]]] = []

    def prepare(self, share: Share) -> None:
        """Have the orders of each lane ready, before the clock runs."""
        of = [[via for via in self.vias if partition_of(via) % share.lanes == lane] for lane in share.mine]
        self._ready = [
            [[self._order(via) for via in random.sample(mine, ORDERS)] for _ in range(share.batches)] for mine in of
        ]
        gc.collect()
        gc.freeze()  # as a process does after its start, and seldom looks again at what came since
        gc.set_threshold(50_000, 20, 50)

    def _order(self, via: UUID) -> ResolvedEvent:
        number = f"bench-{os.getpid()}-{next(self._number)}"
        properties: dict[str, Any] = {"order_id": number, "revenue": random.randint(100, 50_000) / 100}
        return tracked("Order Completed", properties, via=via)

    async def work(self) -> None:
        """All that is ready, a lane beside the other."""

        async def one(batches: list[list[ResolvedEvent]]) -> None:
            for orders in batches:
                async with self.database.write() as session:
                    await react(self.runtime, session, REACTIONS, orders)

        await asyncio.gather(*map(one, self._ready))


def serve(line: Connection, vias: Sequence[UUID]) -> None:
    """The second process: it prepares and works as it is told."""
    uvloop.run(_serve(line, Worker(vias)))


async def _serve(line: Connection, worker: Worker) -> None:
    while (share := line.recv()) is not None:
        worker.prepare(share)
        line.send(True)
        line.recv()
        spent = time.process_time()
        await worker.work()
        line.send(time.process_time() - spent)
    await worker.database.close()
