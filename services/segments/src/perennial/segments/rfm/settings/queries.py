"""The SQL of the settings."""

from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession


async def newest(session: ReadSession) -> Row[Any] | None:
    """The settings in force: version, document, at."""
    statement = "SELECT version, document, at FROM rfm_setting ORDER BY version DESC LIMIT 1"
    return (await session.execute(text(statement))).one_or_none()


async def add(session: WriteSession, version: int, document: str) -> None:
    """A new version."""
    await session.execute(
        text("INSERT INTO rfm_setting (version, document) VALUES (:version, CAST(:document AS jsonb))"),
        {"version": version, "document": document},
    )
