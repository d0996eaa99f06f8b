"""A pull consumer that hands over what has arrived, without waiting for a batch to fill.

nats-py's `fetch(n)` waits out its time when fewer arrive; this keeps one long request open for each durable consumer
instead, all of them answered into one queue, so that a process drains many partitions in one batch.
"""

import asyncio
import json
import secrets

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

EXPIRES_SECONDS = 30.0
GLANCE_SECONDS = 3.0
CREDIT = 32
MOST_BYTES = 4 * 1024 * 1024
# What belongs together arrives within milliseconds, and a transaction for each message would cost most of the speed:
# the first message after a while waits but a moment, in a steady stream batches start this far apart. The longer one
# took, the later the next begins: on a busy machine more messages share the price of a transaction.
LINGER_SECONDS = 0.005
PACE_SECONDS, LONGEST_PACE_SECONDS, REST = 0.06, 0.15, 3


class Puller:
    """Messages of some durable consumers of one stream, as they come."""

    def __init__(self, client: Client, stream: str, *durables: str, most: int = 64, credit: int = CREDIT) -> None:
        self._client = client
        self._stream = stream
        self._durables = durables
        self._most = most
        self._credit = min(credit, most)
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._credits = dict.fromkeys(durables, 0)
        self._asked_on = 0
        self._started = 0.0
        self._took = 0.0

    async def open(self) -> Subscription:
        """Subscribe to an inbox of its own; requests that are open when a connection is lost simply run out."""
        self._inbox = f"_INBOX.{secrets.token_hex(12)}"
        self._credits = dict.fromkeys(self._durables, 0)
        subject = f"{self._inbox}.*"
        self._subscription = await self._client.subscribe(subject, pending_bytes_limit=0, pending_msgs_limit=0)
        return self._subscription

    async def close(self) -> None:
        """Stop receiving; what was delivered and not acknowledged comes again."""
        subscription, self._subscription = self._subscription, None
        if subscription is None or self._client.is_closed:
            return
        while subscription.pending_msgs:  # nobody has looked at these: another worker may have them at once
            message = await subscription.next_msg(1)
            if (message.headers or {}).get("Status") is None:
                await message.nak()
        await subscription.unsubscribe()

    async def batch(self) -> list[Msg]:
        """Wait for messages and return at least one, or none when a request ran out.

        Raises nats.errors.Error when the connection is gone or a consumer does not exist.
        """
        subscription = self._subscription or await self.open()
        self._took = asyncio.get_running_loop().time() - self._started
        await self._ask()
        messages: list[Msg] = []
        try:
            size = self._take(await self._first(subscription), messages)
            if messages and subscription.pending_msgs < self._most:
                await self._linger()
            while subscription.pending_msgs and len(messages) < self._most and size < MOST_BYTES:
                size += self._take(await subscription.next_msg(1), messages)
        except nats.errors.TimeoutError:
            self._credits = dict.fromkeys(self._durables, 0)
        return messages

    async def _linger(self) -> None:
        now = asyncio.get_running_loop().time()
        pace = min(LONGEST_PACE_SECONDS, max(PACE_SECONDS, REST * self._took))
        await asyncio.sleep(max(LINGER_SECONDS, self._started + pace - now))
        self._started = asyncio.get_running_loop().time()

    async def _first(self, subscription: Subscription) -> Msg:
        """The next message; gives up early when a reconnection has swallowed the requests that are open."""
        for _ in range(round(EXPIRES_SECONDS / GLANCE_SECONDS) + 1):
            try:
                return await subscription.next_msg(GLANCE_SECONDS)
            except nats.errors.TimeoutError:
                if self._swallowed():
                    raise
        raise nats.errors.TimeoutError

    def _swallowed(self) -> bool:
        return self._client.stats["reconnects"] != self._asked_on

    async def _ask(self) -> None:
        """Renew the requests that are used up."""
        if self._swallowed():
            self._credits = dict.fromkeys(self._durables, 0)
            self._asked_on = self._client.stats["reconnects"]
        request = json.dumps({"batch": self._credit, "expires": int(EXPIRES_SECONDS * 1e9)}).encode()
        for index, durable in enumerate(self._durables):
            if self._credits[durable] <= 0:
                subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{durable}"
                await self._client.publish(subject, request, reply=f"{self._inbox}.{index}")
                self._credits[durable] = self._credit

    def _take(self, message: Msg, messages: list[Msg]) -> int:
        """Keep a message, or note that a request has ended; the bytes kept."""
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            self._credits[message.metadata.consumer] -= 1
            messages.append(message)
            return len(message.data)
        if status != "100":  # the request has ended: ran out (408), or 409 with the reason
            self._credits[self._durables[int(message.subject.rsplit(".", 1)[1])]] = 0
            if status in {"404", "503"} or "Deleted" in str(headers.get("Description", "")):
                raise nats.errors.Error(f"consumer unavailable: {status} {headers}")
        return 0
