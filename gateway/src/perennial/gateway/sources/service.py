"""The verbs of sources: create, rotate the key, enable and disable."""

import secrets
from datetime import UTC, datetime

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.web import NotFound
from perennial.gateway.access import SYSTEM, announce
from perennial.gateway.sources import queries
from perennial.gateway.sources.models import Source, WriteKey

LIVE_KEYS = 2
DEVELOPMENT = "development"


async def create(
    session: WriteSession, *, by: Principal, name: str, kind: str, may_import: bool, origins: list[str]
) -> Source:
    """A new source with its first write key."""
    source = Source(
        id=str(uuid7()), name=name, kind=kind, enabled=True, may_import=may_import, origins=origins,
        write_keys=[_new_key()],
    )  # fmt: skip
    session.add(source)
    await session.flush()
    await session.refresh(source, ["created_at", "write_keys"])
    await _changed(session, by, "source.created", source, name=name, kind=kind, may_import=may_import)
    return source


async def rotate(session: WriteSession, source_id: str, *, by: Principal) -> Source:
    """Give a source a new key. The one before it stays live until the next rotation."""
    source = await _locked(session, source_id)
    for key in [key for key in source.write_keys if key.retired_at is None][LIVE_KEYS - 1 :]:
        key.retired_at = datetime.now(UTC)
    session.add(WriteKey(key=_new_key().key, source_id=source.id))
    await session.flush()
    await session.refresh(source, ["write_keys"])
    await _changed(session, by, "source.key_rotated", source)
    return source


async def switch(session: WriteSession, source_id: str, *, by: Principal, enabled: bool) -> Source:
    """Enable or disable a source: the keys of a disabled one are refused."""
    source = await _locked(session, source_id)
    if source.enabled != enabled:
        source.enabled = enabled
        await _changed(session, by, "source.enabled" if enabled else "source.disabled", source)
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
    await _changed(session, SYSTEM, "source.seeded", source)


async def _locked(session: WriteSession, source_id: str) -> Source:
    source = await queries.by_id(session, source_id, for_update=True)
    if source is None:
        raise NotFound(f"source_id: there is no source {source_id!r}", pointer="path/source_id")
    return source


async def _changed(session: WriteSession, by: Principal, action: str, source: Source, **detail: object) -> None:
    await audit.record(session, by, action, f"source/{source.id}", detail)
    await announce(session)


def _new_key() -> WriteKey:
    return WriteKey(key=f"wk_{secrets.token_urlsafe(24)}")
