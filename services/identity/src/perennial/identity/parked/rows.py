"""Parked events at rest: what was sent and what was said of it are sealed, bound to the event."""

import base64
import json
import re
from collections.abc import Sequence
from uuid import UUID

import structlog

from perennial.common.db import ReadSession, WriteSession
from perennial.common.messaging import parked
from perennial.common.messaging.parked import Parked, ParkedRow
from perennial.identity.parked import queries
from perennial.identity.vault import Vault

log = structlog.get_logger()

LONGEST_ERROR, LONGEST_TRACE = 2000, 8000
_CODE = re.compile(r"\w+")


async def park(session: WriteSession, failed: Sequence[Parked], vault: Vault) -> int:
    """Put events aside, each once however often its message is delivered. Returns how many are new."""
    waiting = await queries.waiting(session, [item.event_id for item in failed if item.event_id])
    new = [item for item in failed if item.event_id not in waiting]
    if new:
        await queries.add(session, [_row(item, vault) for item in new])
        parked.counted.add(len(new))
    for item in new:
        log.error("event.parked", subject=item.origin.subject, event_id=str(item.event_id), error=code_of(item.error))
    return len(new)


def code_of(error: str) -> str:
    """The first word of an error, the only one that never quotes the event: `no_identifier`, `ValueError`."""
    found = _CODE.match(error)
    return found.group() if found else "error"


def _row(item: Parked, vault: Vault) -> queries.NewRow:
    body = base64.b64encode(item.origin.body).decode()
    said = json.dumps({"body": body, "error": item.error[:LONGEST_ERROR], "trace": item.trace[-LONGEST_TRACE:]})
    headers = json.dumps(item.origin.headers)
    sealed = vault.seal(said, _bound(item.event_id))
    return queries.NewRow(item.origin.stream, item.origin.subject, item.event_id, headers, code_of(item.error), sealed)


def _bound(event_id: UUID | None) -> bytes:
    return event_id.bytes if event_id else b""


async def listing(session: ReadSession, vault: Vault, after: int = 0, limit: int = 50) -> list[ParkedRow]:
    """Parked events not yet replayed, oldest first, opened."""
    return [_opened(row, vault) for row in await queries.listing(session, after, limit)]


async def by_event(session: ReadSession, vault: Vault, ids: Sequence[UUID]) -> ParkedRow | None:
    """The newest parked event that has one of these ids, opened."""
    row = await queries.by_event(session, ids)
    return _opened(row, vault) if row else None


async def bodies(session: ReadSession, vault: Vault, ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """The bodies of parked events that were not replayed yet."""
    rows = await queries.some(session, ids)
    return [(row.id, base64.b64decode(_opened(row, vault).body)) for row in rows]


def _opened(row: queries.Row, vault: Vault) -> ParkedRow:
    if row.sealed is None:  # an earlier release has written it
        body, error = base64.b64encode(row.body).decode(), row.error
    else:
        said = json.loads(vault.open(row.sealed, _bound(row.event_id)))
        body, error = said["body"], said["error"]
    return ParkedRow(row.id, row.subject, row.event_id, error, row.parked_at, row.replayed_at, body)
