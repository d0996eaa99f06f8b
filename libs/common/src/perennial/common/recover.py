"""After Postgres was restored to an earlier instant: what was accepted since goes through the pipeline again.

`python -m perennial.common.recover <instant>`, while no process of a service runs. The stream EVENTS still has every
event that was resolved since the backup; the database has forgotten whose they are. So they go back into INGEST, as the
gateway had accepted them, and the other streams are emptied: what they say is of a state that is no more. Identity
decides again, repeats of what is in the backup get their old decision, and inboxes drop what was handled before it.

Choose the instant earlier than the backup by as long as the slowest service was behind (three days at most, which is
how long inboxes remember). Dying half-way does no harm: run it again.
"""

import argparse
import asyncio
import itertools
import operator
import os
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

import msgspec
import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved, ResolvedEvent
from perennial.common.events import headers_for
from perennial.common.ids import uuid7_text
from perennial.common.runtime import connect_nats

log = structlog.get_logger()

CHUNK = 200  # events in a message: as many as a large request has
MESSAGES, WAIT_SECONDS = 50, 10.0
_RESOLVED = msgspec.json.Decoder(EventsResolved)
_source = operator.attrgetter("source")


class StillReadError(Exception):
    """A process of a service is running: it would hear of what is being taken away."""


async def recover(js: JetStreamContext, since: datetime) -> int:
    """Accept again what was resolved since an instant, empty all streams but INGEST; how many events.

    Raises StillReadError.
    """
    await _alone(js)
    count = 0
    async for events in _resolved(js, since):
        for source, run in itertools.groupby(sorted(events, key=_source), key=_source):
            accepted = [accept(event) for event in run]
            for start in range(0, len(accepted), CHUNK):
                await _publish(js, source, accepted[start : start + CHUNK])
            count += len(accepted)
    for info in await js.streams_info():
        if info.config.name != STREAM:
            await js.purge_stream(str(info.config.name))
    log.info("events.accepted_again", since=since.isoformat(), events=count)
    return count


def accept(event: ResolvedEvent) -> AcceptedEvent:
    """An event as the gateway had accepted it."""
    return AcceptedEvent(
        event.message_id, event.type, event.name, event.timestamp, event.received_at, event.live, event.imported,
        event.body, event.sent_at,
    )  # fmt: skip


async def _alone(js: JetStreamContext) -> None:
    for info in await js.streams_info():
        for consumer in await js.consumers_info(str(info.config.name)):
            if consumer.num_waiting:
                raise StillReadError(f"{consumer.name} of {info.config.name} is being read: stop every service first")


async def _resolved(js: JetStreamContext, since: datetime) -> AsyncIterator[Iterable[ResolvedEvent]]:
    """The messages of EVENTS since an instant, in order."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since.astimezone(UTC), ack_policy=AckPolicy.NONE
    )
    subscription = await js.pull_subscribe(f"{RESOLVED_SUBJECT}.*", stream=RESOLVED_STREAM, config=config)
    try:
        left = (await subscription.consumer_info()).num_pending or 0
        while left:
            for message in await subscription.fetch(MESSAGES, timeout=WAIT_SECONDS):
                left = message.metadata.num_pending
                yield _RESOLVED.decode(message.data).events
    finally:
        await subscription.unsubscribe()


async def _publish(js: JetStreamContext, source: str, events: list[AcceptedEvent]) -> None:
    headers = headers_for(SUBJECT, uuid7_text(), datetime.now(UTC), f"/sources/{source}")
    await js.publish(SUBJECT, msgspec.json.encode(EventsAccepted(source, events)), stream=STREAM, headers=headers)


async def _run(since: datetime) -> int:
    client = await connect_nats(os.environ["PERENNIAL_NATS_URL"], "recover")
    try:
        await recover(client.jetstream(timeout=10), since)
    except StillReadError as error:
        log.error("recovery.refused", error=str(error))  # noqa: TRY400 (said in words)
        return 1
    finally:
        await client.close()
    return 0


def main() -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description="Accept again what was resolved since an instant.")
    parser.add_argument("since", type=datetime.fromisoformat, help="with its time zone, such as 2026-03-01T10:00Z")
    since = parser.parse_args().since
    if since.tzinfo is None:
        parser.error(f"since: {since.isoformat()} has no time zone")
    return asyncio.run(_run(since))


if __name__ == "__main__":
    sys.exit(main())
