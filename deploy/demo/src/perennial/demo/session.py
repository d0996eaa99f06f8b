"""What every part of a run works with."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from perennial.demo.client import Client, Json
from perennial.demo.data import Shopper
from perennial.demo.people import ISO, compact
from perennial.demo.state import State


@dataclass
class Session:
    """The client, the state, the terminal, and the customer id of each household."""

    client: Client
    state: State
    console: Console
    customers: dict[int, str] = field(default_factory=dict)

    def chosen(self, name: str, shoppers: Iterable[Shopper]) -> list[Shopper]:
        """These shoppers, or the ones that an earlier run chose for the same part."""
        if not getattr(self.state, name):
            setattr(self.state, name, [asdict(shopper) for shopper in shoppers])
            self.state.save()
        return [Shopper(**row) for row in getattr(self.state, name)]

    @staticmethod
    async def until(at: datetime) -> None:
        """Wait for an instant: the platform takes a time in the future for a clock that is wrong."""
        await asyncio.sleep(max((at - datetime.now(UTC)).total_seconds(), 0))

    async def track(self, event: str, message_id: str, household: int, at: datetime, properties: Json) -> None:
        """Send one event as the shop's page would; without `sentAt` its time stays as it is said."""
        call = {
            "event": event,
            "messageId": message_id,
            "userId": f"household-{household}",
            "timestamp": at.strftime(ISO),
            "properties": properties,
        }
        await self.client.track("/v1/track", compact(call).encode())
