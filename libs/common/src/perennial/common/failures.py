"""Which errors are the world's fault and pass by waiting, and which are an event's."""

from collections.abc import Iterator

import asyncpg
import nats.errors
import nats.js.errors
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# SQLSTATE classes: connection, authorisation, transaction rollback, resources, prerequisite state, operator
# intervention, system: none of them is an event's fault.
INFRASTRUCTURE_CLASSES = frozenset({"08", "28", "40", "53", "55", "57", "58"})
READ_ONLY = "25006"  # a primary that has just become a standby


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, getattr(current, "orig", None)]


def is_infrastructure(error: BaseException) -> bool:
    """Whether waiting and trying again can help, whatever the event says."""
    for link in _chain(error):
        if isinstance(link, DBAPIError) and link.connection_invalidated:
            return True
        if isinstance(link, asyncpg.PostgresError):
            state = link.sqlstate or ""
            return state[:2] in INFRASTRUCTURE_CLASSES or state == READ_ONLY
        if isinstance(
            link,
            OSError
            | TimeoutError
            | PoolTimeout
            | InterfaceError
            | asyncpg.InterfaceError
            | nats.errors.Error
            | nats.js.errors.Error,
        ):
            return True
    return False
