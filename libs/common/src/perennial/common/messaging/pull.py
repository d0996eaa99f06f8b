"""A pull consumer that hands over what has arrived, without waiting for a batch to fill.

nats-py's `fetch(n)` waits out its time when fewer arrive; this keeps one long request open instead.
"""

import json
import secrets

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

EXPIRES_SECONDS = 30.0
GLANCE_SECONDS = 3.0


class Puller:
    """Messages of one durable consumer, as they come."""

    def __init__(self, client: Client, stream: str, durable: str, *, most: int = 32) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._most = most
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._credit = 0
        self._asked_on = 0

    async def open(self) -> None:
        """Subscribe to an inbox of its own; the request that is open when a connection is lost simply runs out."""
        self._inbox = f"_INBOX.{secrets.token_hex(12)}"
        self._subscription = await self._client.subscribe(self._inbox, pending_bytes_limit=0, pending_msgs_limit=0)
        self._credit = 0

    async def close(self) -> None:
        """Stop receiving; what was delivered and not acknowledged comes again."""
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def batch(self) -> list[Msg]:
        """Wait for messages and return at least one, or none when the request ran out.

        Raises nats.errors.Error when the connection is gone or the consumer does not exist.
        """
        if self._subscription is None:
            await self.open()
        subscription = self._subscription
        assert subscription is not None  # noqa: S101 (opened above)
        if self._credit <= 0 or self._swallowed():
            await self._request()
        messages: list[Msg] = []
        try:
            self._take(await self._first(subscription), messages)
            while subscription.pending_msgs and len(messages) < self._most:
                self._take(await subscription.next_msg(1), messages)
        except nats.errors.TimeoutError:
            self._credit = 0
        return messages

    async def _first(self, subscription: Subscription) -> Msg:
        """The next message; gives up early when a reconnection has swallowed the request that is open."""
        for _ in range(round(EXPIRES_SECONDS / GLANCE_SECONDS) + 1):
            try:
                return await subscription.next_msg(GLANCE_SECONDS)
            except nats.errors.TimeoutError:
                if self._swallowed():
                    raise
        raise nats.errors.TimeoutError

    def _swallowed(self) -> bool:
        return self._client.stats["reconnects"] != self._asked_on

    async def _request(self) -> None:
        self._asked_on = self._client.stats["reconnects"]
        request = {"batch": self._most, "expires": int(EXPIRES_SECONDS * 1e9)}
        await self._client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)
        self._credit = self._most

    def _take(self, message: Msg, messages: list[Msg]) -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._credit -= 1
            messages.append(message)
        elif status != "100":  # the request has ended: ran out (408), or 409 with the reason
            self._credit = 0
            if status in {"404", "503"} or "Deleted" in str((message.headers or {}).get("Description", "")):
                raise nats.errors.Error(f"consumer unavailable: {status} {message.headers}")
