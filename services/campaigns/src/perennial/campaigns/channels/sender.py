"""The senders: one per channel, outside of any transaction, at least once towards the provider.

A message is taken only while its approval is fresh; a stale one, and one whose sender died with it in hand, goes back
to its enrolment's timer, which checks everything again behind the watermark.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from opentelemetry import metrics

from perennial.campaigns.channels import queries
from perennial.campaigns.channels.outgoing import Accepted, Outgoing, Provider, Result, TryLater
from perennial.campaigns.wakes import again
from perennial.common import notify
from perennial.common.contracts.campaigns import MessageSent, MessageSuppressed
from perennial.common.db import WriteSession
from perennial.common.failures import is_infrastructure
from perennial.common.outbox import emit
from perennial.common.runtime import Runtime

log = structlog.get_logger()
settled = metrics.get_meter("perennial").create_counter(
    "perennial.messages.settled", description="What providers said of messages, by channel and status."
)

FRESH = timedelta(seconds=60)
LEASE = timedelta(minutes=5)
IDLE_SECONDS = 20.0
BEAT_SECONDS = 10.0
BACKOFF = (0.5, 2, 10, 30, 60, 120, 240, 480)  # minutes


def channel_name(channel: str) -> str:
    """What is notified when a message of the channel was approved."""
    return f"messages_{channel}"


async def deliver(runtime: Runtime, provider: Provider) -> int:
    """Take what is approved, hand it over, write down what became of it; returns how many were taken or given back."""
    async with runtime.database.write() as session:
        given_back = await give_back(session, provider)
        taken = await take(session, provider)
    if not taken:
        return given_back
    results = await provider.send(taken)
    async with runtime.database.write() as session:
        await settle(session, taken, results)
    return given_back + len(taken)


async def give_back(session: WriteSession, provider: Provider) -> int:
    """Approvals that went stale are checked again; after a crash this is how a message is sent at last."""
    now = datetime.now(UTC)
    stale = await queries.give_back(session, provider.channel, FRESH, now)
    await again(session, [(enrolment, via, now) for enrolment, via in stale])
    return len(stale)


async def take(session: WriteSession, provider: Provider) -> list[Outgoing]:
    """Lease approved messages, oldest approval first."""
    now = datetime.now(UTC)
    return await queries.take(session, provider.channel, now - FRESH, now + LEASE, provider.batch)


async def settle(session: WriteSession, taken: Sequence[Outgoing], results: Sequence[Result]) -> None:
    """Write down the provider's answers and let the walks go on; what may go later waits for its timer."""
    now = datetime.now(UTC)
    rows = [_settled(message, result) for message, result in zip(taken, results, strict=True)]
    written = await queries.settle(session, rows, now)
    both = [(message, row) for message, row in zip(taken, rows, strict=True) if message.id in written]
    await again(session, [(message.enrolment_id, message.via, now + row["pause"]) for message, row in both])
    await emit(session, *(fact for message, row in both if (fact := _fact(message, row)) is not None))
    for message, row in both:
        settled.add(1, {"channel": message.channel, "status": row["status"]})


def _settled(message: Outgoing, result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {"id": message.id, "status": "sent", "reason": None, "provider_id": None, "error": None}
    row["pause"] = timedelta()
    if isinstance(result, Accepted):
        return row | {"provider_id": result.provider_id}
    row |= {"reason": "provider_error", "error": result.error.replace("\x00", "")}
    if isinstance(result, TryLater) and message.attempts <= len(BACKOFF):
        return row | {"status": "queued", "pause": timedelta(minutes=BACKOFF[message.attempts - 1])}
    return row | {"status": "failed"}


def _fact(message: Outgoing, row: dict[str, Any]) -> MessageSent | MessageSuppressed | None:
    about = {
        "message_id": message.id,
        "journey_id": message.journey_id,
        "step": message.step,
        "channel": message.channel,
        "via": message.via,
        "customer": message.customer_id,
    }
    if row["status"] == "sent":
        return MessageSent.model_validate(about)
    if row["status"] == "failed":
        return MessageSuppressed.model_validate(about | {"reason": row["reason"]})
    return None


@asynccontextmanager
async def beating(runtime: Runtime, name: str) -> AsyncIterator[None]:
    """A slow provider is no stalled worker: killed with messages in hand, it would send them twice.

    Nobody waits for a provider longer than a lease: whatever takes more than that has stalled.
    """

    async def beat() -> None:
        for _ in range(int(LEASE.total_seconds() / BEAT_SECONDS)):
            runtime.beats[name] = asyncio.get_running_loop().time()
            await asyncio.sleep(BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


async def loop(runtime: Runtime, provider: Provider) -> None:
    """Send for as long as the process lives."""
    name = f"sender {provider.channel}"
    while not runtime.stopping.is_set():
        runtime.beats[name] = asyncio.get_running_loop().time()
        try:
            async with beating(runtime, name):
                moved = await deliver(runtime, provider)
            if moved == 0:
                await notify.wait(runtime, channel_name(provider.channel), IDLE_SECONDS)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("sender.waiting", channel=provider.channel, error=repr(error))
            else:
                log.exception("sender.failed", channel=provider.channel)
            await runtime.pause(1)
