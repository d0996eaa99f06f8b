"""Events on their way into the stream: requests that arrive while others are being stored share one message."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime

from perennial.gateway.tracking.refusal import Refusal


@dataclass(slots=True, eq=False)
class Load:
    """A part of one request: the JSON of its events without brackets, and who waits for it."""

    events: bytes
    received_at: datetime
    since: float  # when it began to wait, by the loop's clock
    context: Context = field(default_factory=copy_context)  # the request's trace
    stored: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def succeed(self) -> None:
        """The broker has it."""
        if not self.stored.done():
            self.stored.set_result(None)

    def fail(self, error: Refusal) -> None:
        """The broker does not, or did not say so."""
        if not self.stored.done():
            self.stored.set_exception(error)


class Waiting:
    """Loads by source. Sources take turns, so that a busy one delays no other."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Load]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, source_id: str, load: Load) -> None:
        """Queue up."""
        line = self._lines.get(source_id)
        if line is None:
            line = self._lines[source_id] = deque()
        line.append(load)

    def take(self, most_bytes: int) -> tuple[str, list[Load]]:
        """The next message: loads of one source, of `most_bytes` together unless the first alone is larger."""
        source_id = next(iter(self._lines))
        line = self._lines.pop(source_id)
        taken = [line.popleft()]
        size = len(taken[0].events)
        while line and size + len(line[0].events) < most_bytes:
            taken.append(line.popleft())
            size += len(taken[-1].events) + 1
        if line:
            self._lines[source_id] = line
        return source_id, taken

    def drop(self, older_than: float, refuse: Callable[[], Refusal]) -> None:
        """Refuse what has waited too long; it was never sent, so it cannot appear later."""
        for source_id, line in list(self._lines.items()):
            while line and line[0].since < older_than:
                line.popleft().fail(refuse())
            if not line:
                del self._lines[source_id]
