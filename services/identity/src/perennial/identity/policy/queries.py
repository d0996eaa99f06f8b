"""The versions of the policy in SQL; they are only added to."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession, lock

_NEWEST = text("SELECT version, definition, created_at, created_by FROM policy ORDER BY version DESC LIMIT 1")
_VERSION = text("SELECT coalesce(max(version), 0) FROM policy")
_LIST = text("""
    SELECT version, definition, created_at, created_by FROM policy
    WHERE CAST(:before AS bigint) IS NULL OR version < :before ORDER BY version DESC LIMIT :limit""")
_ADD = text("""
    INSERT INTO policy (version, definition, created_by) VALUES (:version, CAST(:definition AS jsonb), :by)""")


async def newest(session: ReadSession) -> RowMapping | None:
    """The policy in force; None while it is the one that is built in."""
    return (await session.execute(_NEWEST)).mappings().one_or_none()


async def version(session: ReadSession) -> int:
    """The number of the policy in force."""
    return int((await session.execute(_VERSION)).scalar_one())


async def listing(session: ReadSession, before: int | None, limit: int) -> Sequence[RowMapping]:
    """Versions, newest first."""
    return (await session.execute(_LIST, {"before": before, "limit": limit})).mappings().all()


async def hold(session: WriteSession) -> None:
    """Wait for whoever is writing a version."""
    await lock(session, "identity", "policy")


async def add(session: WriteSession, number: int, definition: Mapping[str, Any], by: str) -> None:
    """Write a version."""
    await session.execute(_ADD, {"version": number, "definition": json.dumps(definition), "by": by})
