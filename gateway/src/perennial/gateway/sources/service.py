"""The verbs of sources: create, change, rotate and retire keys, enable and disable."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.web import Conflict, NotFound
from perennial.common.web.etags import match
from perennial.gateway.announcing import SYSTEM, announce
from perennial.gateway.sources import queries
from perennial.gateway.sources.models import Source, WriteKey

LIVE_KEYS = 2
DEVELOPMENT = "development"


async def create(session: WriteSession, *, by: Principal, wanted: Mapping[str, Any]) -> Source:
    """A new source with its first write key."""
    source = Source(id=str(uuid7()), enabled=True, write_keys=[_new_key()], **_columns(wanted))
    session.add(source)
    await session.flush()
    await session.refresh(source, ["created_at", "version", "write_keys"])
    await _said(session, by, "source.created", source, wanted)
    return source


async def change(
    session: WriteSession, source_id: str, *, by: Principal, expected: int | None, wanted: Mapping[str, Any]
) -> Source:
    """Change what is named in `wanted`. Raises PreconditionFailed when somebody else was faster."""
    source = await locked(session, source_id)
    match(expected, source.version)
    columns = {name: value for name, value in _columns(wanted).items() if getattr(source, name) != value}
    if columns:
        for name, value in columns.items():
            setattr(source, name, value)
        await changed(session, source, by=by, action="source.changed", detail=columns)
    return source


async def rotate(session: WriteSession, source_id: str, *, by: Principal) -> Source:
    """Give a source a new key. The one before it stays live until the next rotation."""
    source = await locked(session, source_id)
    for key in live(source)[LIVE_KEYS - 1 :]:
        key.retired_at = datetime.now(UTC)
    session.add(WriteKey(key=_new_key().key, source_id=source.id))
    await session.flush()
    await session.refresh(source, ["write_keys"])
    await changed(session, source, by=by, action="source.key_rotated")
    return source


async def retire(session: WriteSession, source_id: str, key: str, *, by: Principal) -> Source:
    """Refuse one key from now on; again is harmless. Raises Conflict for the last one."""
    source = await locked(session, source_id)
    found = next((held for held in source.write_keys if held.key == key), None)
    if found is None:
        raise NotFound("key: this source never had that write key", pointer="path/key")
    if found.retired_at is None:
        if len(live(source)) == 1:
            raise Conflict("key: it is the only one left; rotate first, or disable the source", code="last_key")
        found.retired_at = datetime.now(UTC)
        await changed(session, source, by=by, action="source.key_retired", detail={"key": key})
    return source


async def switch(session: WriteSession, source_id: str, *, by: Principal, enabled: bool) -> Source:
    """Enable or disable a source: the keys of a disabled one are refused."""
    source = await locked(session, source_id)
    if source.enabled != enabled:
        source.enabled = enabled
        await changed(session, source, by=by, action="source.enabled" if enabled else "source.disabled")
    return source


async def seed(session: WriteSession, write_key: str) -> None:
    """Make the development source, and its key the only live one; harmless when it exists."""
    source = await queries.by_id(session, DEVELOPMENT, for_update=True)
    if source is None:
        source = Source(id=DEVELOPMENT, name="Development", kind="server", may_import=True, write_keys=[])
        session.add(source)
        await session.flush()
    elif any(key.key == write_key and key.retired_at is None for key in source.write_keys):
        return
    for key in source.write_keys:
        key.retired_at = datetime.now(UTC)
    await session.merge(WriteKey(key=write_key, source_id=DEVELOPMENT, retired_at=None))
    await _said(session, SYSTEM, "source.seeded", source, {})


async def locked(session: WriteSession, source_id: str) -> Source:
    """A source that nobody else changes until the transaction ends. Raises NotFound."""
    source = await queries.by_id(session, source_id, for_update=True)
    if source is None:
        raise missing(source_id)
    return source


def missing(source_id: str) -> NotFound:
    """There is no such source."""
    return NotFound(f"source_id: there is no source {source_id!r}", pointer="path/source_id")


def live(source: Source) -> list[WriteKey]:
    """The keys in use, newest first."""
    return [key for key in source.write_keys if key.retired_at is None]


async def changed(
    session: WriteSession, source: Source, *, by: Principal, action: str, detail: Mapping[str, Any] | None = None
) -> None:
    """A new version of a source: noted, and told to every gateway process when the transaction commits."""
    source.version += 1
    await session.flush()
    await _said(session, by, action, source, detail or {})


async def _said(session: WriteSession, by: Principal, action: str, source: Source, detail: Mapping[str, Any]) -> None:
    await announce(session)
    await audit.record(session, by, action, f"source/{source.id}", detail)


def _columns(wanted: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(wanted)
    if "rate_limit" in columns:
        limit = columns.pop("rate_limit") or {}
        columns |= {name: limit.get(name) for name in ("events_per_second", "burst")}
    return columns


def _new_key() -> WriteKey:
    return WriteKey(key=f"wk_{secrets.token_urlsafe(24)}")
