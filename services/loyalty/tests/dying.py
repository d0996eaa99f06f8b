"""A process that works on the books until somebody kills it: `dying.py <seed> <steps>`; told again, it begins anew.

Everything bears an id made of the seed, so that a second run is a repetition of the first.
"""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.db import Database, WriteSession
from perennial.common.derive import derive_once
from perennial.common.failures import is_infrastructure
from perennial.common.ids import digest_uuid
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.problems import Conflict
from perennial.common.service import ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import tracked
from perennial.loyalty.main import SERVICE
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.worker import DERIVATION

PEOPLE, ORDERS, WORTH, BACK = 4, 4, 100, 25
START = datetime(2026, 1, 1, tzinfo=UTC)


class Dying:
    """Does the steps of a seed, several at once."""

    def __init__(self, settings: CommonSettings, seed: int) -> None:
        self.seed = seed
        database = Database.connect(settings, "dying")
        self.runtime = ServiceRuntime(SERVICE, settings, database, nats=None)  # type: ignore[arg-type]
        self.vias = sorted(self.name("via", each) for each in range(PEOPLE))
        self.chance = random.Random(seed)
        self.owner = list(range(PEOPLE))

    def name(self, *parts: object) -> UUID:
        """An id that a second run makes again."""
        return digest_uuid(str(self.seed), *map(str, parts))

    async def hear(self, session: WriteSession, *events: object) -> None:
        await react(self.runtime, session, reactions_of(SERVICE), events)

    async def orders(self, session: WriteSession, step: int, name: str, worth: int) -> None:
        """A batch of orders, or of refunds of them."""
        events = [
            tracked(
                name, {"order_id": f"{step}-{each}", "revenue": worth, "refund_id": "r"}, via=self.vias[each],
                at=START + timedelta(days=step, hours=name == "Order Refunded"), message_id=f"{name}{step}-{each}",
            )
            for each in range(ORDERS)
        ]  # fmt: skip
        await self.hear(session, *events)

    async def spend(self, session: WriteSession, step: int, via: int, points: int) -> None:
        posting = Posting(
            self.name("spend", step, via), "spend", self.vias[via], START + timedelta(days=step), "x", -points
        )
        try:
            async with session.begin_nested():
                await service.spend(session, posting)
        except Conflict:
            return

    async def assign(self, session: WriteSession, moved: Sequence[int], to: int, version: int) -> None:
        said = [Assignment(via=self.vias[via], customer=self.vias[to], version=version) for via in moved]
        await self.hear(session, IdentifiersAssigned(assignments=said))

    def change(self, one: int, other: int) -> tuple[list[int], int]:
        """A merge, or an identifier that leaves: a customer is always named after one of its own."""
        if self.owner[one] != one:
            moved, to = [one], one
        else:
            to = self.owner[other]
            moved = [via for via in range(PEOPLE) if self.owner[via] == one and to != one]
        for via in moved:
            self.owner[via] = to
        return moved, to

    async def jobs(self, session: WriteSession, step: int) -> None:
        await service.expire_due(session, START + timedelta(days=step))

    async def derive(self, session: WriteSession, _: int) -> None:
        await session.execute(text("UPDATE stale SET at = now() WHERE at > now()"))
        await derive_once(session, DERIVATION)

    async def once(self, step: Callable[[WriteSession], Awaitable[None]]) -> None:
        """In a transaction of its own; what a deadlock threw back comes again."""
        while True:
            try:
                async with self.runtime.database.write() as session:
                    await step(session)
            except Exception as error:
                if not is_infrastructure(error):
                    raise
            else:
                return

    async def run(self, steps: int) -> None:
        for step in range(steps):
            via, to, points = (self.chance.randrange(n) for n in (PEOPLE, PEOPLE, 150))
            moved, owner = self.change(via, to)
            work: list[Callable[[WriteSession], Awaitable[None]]] = [
                lambda s, n=step: self.orders(s, n, "Order Completed", WORTH),  # type: ignore[misc]
                lambda s, n=step: self.orders(s, n, "Order Refunded", BACK),  # type: ignore[misc]
                lambda s, n=step, v=via, p=points: self.spend(s, n, v, p + 1),  # type: ignore[misc]
                lambda s, n=step, v=to, p=points: self.spend(s, n, v, p + 1),  # type: ignore[misc]
                lambda s, n=step, m=moved, o=owner: self.assign(s, m, o, n + 2),  # type: ignore[misc]
                lambda s, n=step: self.jobs(s, n),  # type: ignore[misc]
                lambda s, n=step: self.derive(s, n),  # type: ignore[misc]
            ]
            self.chance.shuffle(work)
            await asyncio.gather(*[self.once(each) for each in work])
            print(step, flush=True)  # noqa: T201 (whoever kills it reads how far it is)


if __name__ == "__main__":
    asked: type[Any] = SERVICE.settings  # of the environment
    asyncio.run(Dying(asked(), int(sys.argv[1])).run(int(sys.argv[2])))
