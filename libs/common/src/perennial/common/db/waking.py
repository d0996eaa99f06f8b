"""Notifications of what has been committed: one statement for all of some milliseconds.

Within a transaction, NOTIFY has every commit wait for the one before it to reach the disk, and wakes every listener.
"""

import asyncio
import contextlib
import contextvars

import structlog

from perennial.common.db.lone import Lone

log = structlog.get_logger()

WAKES = "wakes"
"""In a session's `info`: the set of channels to notify when its transaction has been committed."""

PACE_SECONDS = 0.01
RETRY_SECONDS = 0.5
CLOSE_SECONDS = 5.0
_NOTIFY = "SELECT count(pg_notify(current_schema() || '.' || name, '')) FROM unnest($1::text[]) AS name"


class Waker:
    """Notifies channels soon. A process that dies before it does leaves the loops to their next look by themselves."""

    def __init__(self, lone: Lone) -> None:
        self._lone = lone
        self._names: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._closing = False

    def wake(self, names: set[str]) -> None:
        """Wake whoever waits for these channels of this service: at once, or with what else is being committed."""
        self._names |= names
        if self._names and (self._sending is None or self._sending.done()):
            # It outlives the request that began it: in that one's context it would log and trace others as part of it.
            self._sending = asyncio.create_task(self._send(), context=contextvars.Context())

    async def close(self) -> None:
        """Let what is left go out."""
        self._closing = True
        if self._sending is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.gather(self._sending, return_exceptions=True)

    async def _send(self) -> None:
        """A failure is tried again: it may be that of one connection, and who listens has not noticed anything."""
        while self._names:
            names, self._names = sorted(self._names), set()
            pace = PACE_SECONDS
            try:
                await self._lone.fetchval(_NOTIFY, names)
            except Exception as error:  # noqa: BLE001 (whatever it is, the loops must be woken)
                log.warning("notify.failed", channels=names, error=repr(error))
                if self._closing:
                    return
                self._names.update(names)
                pace = RETRY_SECONDS
            await asyncio.sleep(pace)
