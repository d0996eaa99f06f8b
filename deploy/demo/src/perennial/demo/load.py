"""Sends the prepared calls as an import: batches in time order, several requests in flight."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from perennial.demo.client import Client, Json

MOST_BYTES = 500_000
MOST_EVENTS = 500
IN_FLIGHT = 4
HEAD, TAIL = b'{"context":{"import":true},"batch":[', b"]}"


@dataclass(frozen=True)
class Batch:
    """One request body and how many events it holds."""

    body: bytes
    events: int


@dataclass
class Loaded:
    """What the gateway said to all batches together."""

    accepted: int = 0
    rejected: list[Json] = field(default_factory=list)
    batches: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Accepted events per second."""
        return self.accepted / self.seconds if self.seconds else 0.0


def batches(chunks: Iterable[list[str]]) -> Iterator[Batch]:
    """The events in order, in bodies of at most 500 events and 500,000 bytes."""
    parts: list[bytes] = []
    size = len(HEAD) + len(TAIL)
    for chunk in chunks:
        for event in chunk:
            part = event.encode()
            if parts and (len(parts) == MOST_EVENTS or size + len(part) + 1 > MOST_BYTES):
                yield _batch(parts)
                parts, size = [], len(HEAD) + len(TAIL)
            parts.append(part)
            size += len(part) + 1
    if parts:
        yield _batch(parts)


async def load(client: Client, chunks: Iterable[list[str]], total: int, console: Console) -> Loaded:
    """Send everything and wait for the last answer.

    The next body is built while the others are on their way; no more than a few exist at a time.
    """
    result, started = Loaded(), time.monotonic()
    source, turn = batches(chunks), asyncio.Lock()
    with _progress(console) as progress:
        bar = progress.add_task("import", total=total, rate=0.0)

        async def sender() -> None:
            while True:
                async with turn:
                    batch = await asyncio.to_thread(next, source, None)
                if batch is None:
                    return
                answer = await client.track("/v1/batch", batch.body)
                _count(result, batch, answer)
                result.seconds = time.monotonic() - started
                progress.update(bar, completed=result.accepted, rate=result.rate)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(sender())
    return result


def _batch(parts: list[bytes]) -> Batch:
    return Batch(HEAD + b",".join(parts) + TAIL, len(parts))


def _count(result: Loaded, batch: Batch, answer: Json) -> None:
    result.accepted += answer["accepted"]
    result.rejected += answer["rejected"]
    result.batches += 1
    result.sent_bytes += len(batch.body)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=console,
    )
