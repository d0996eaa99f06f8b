"""What a handler gets: one step of an operation, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.operations import files
from perennial.common.runtime import Runtime


@dataclass
class Step:
    """One step. What the handler writes by `session`, and `progress`, `done` and `total`, are committed together.

    `progress` is the handler's own note of where it stands (a JSON object, empty in the first step); `done` and
    `total` are for people. `principal` is who started the operation, with what it may and sees.
    """

    runtime: Runtime
    session: WriteSession
    id: UUID
    kind: str
    principal: Principal
    input: Mapping[str, Any]
    progress: dict[str, Any]
    done: int = 0
    total: int | None = None

    async def read(self, name: str, at: int = 0, size: int = files.PART) -> bytes:
        """Up to `size` bytes of a file from an offset, perhaps fewer; none at its end."""
        return await files.read(self.session, self.id, name, at, size)

    async def append(self, name: str, data: bytes, media_type: str) -> None:
        """Add to a file that the operation produces."""
        await files.append(self.session, self.id, name, media_type, data)


OperationHandler = Callable[[Step], Awaitable[Mapping[str, Any] | None]]
"""Does one step, of some seconds at most: the operation's result when that was the last one, else None."""
