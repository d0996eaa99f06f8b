"""Content as somebody may see it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import prose
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.loyalty.earning.content import service
from perennial.loyalty.earning.content.definition import ContentRule
from perennial.loyalty.earning.content.schemas import ContentOut, MyContentOut

MOST_MEDIA, LONGEST = 20, 10_000


async def for_staff(session: ReadSession, who: Principal, rows: Sequence[Row[Any]]) -> list[ContentOut]:
    """What people wrote is shown to whoever sees personal fields."""
    parts, points = await _parts(session, rows), await service.brought(session, {row.id: row.rounds for row in rows})
    return [
        ContentOut(
            id=row.id, customer_id=row.customer_id, kind=row.kind, source=row.source,
            key=prose.reference(who, row.key) or "", subject=prose.reference(who, parts[row.id][0]),
            text=prose.private(who, parts[row.id][1]),
            media=[prose.private(who, item) or "" for item in parts[row.id][2]], at=row.at, state=row.state,
            decided_at=row.decided_at, decided_by=row.decided_by,
            note=None if row.note is None else prose.masked(who, row.note), points=points[row.id],
            version=row.version,
        )
        for row in rows
    ]  # fmt: skip


async def for_customer(session: ReadSession, rows: Sequence[Row[Any]]) -> list[MyContentOut]:
    """One's own words as they are."""
    parts, points = await _parts(session, rows), await service.brought(session, {row.id: row.rounds for row in rows})
    return [
        MyContentOut(
            id=row.id, kind=row.kind, key=row.key, subject=parts[row.id][0], text=parts[row.id][1],
            media=parts[row.id][2], at=row.at, state=row.state, note=row.note, points=points[row.id],
        )
        for row in rows
    ]  # fmt: skip


async def _parts(
    session: ReadSession, rows: Sequence[Row[Any]]
) -> dict[UUID, tuple[str | None, str | None, list[str]]]:
    """Subject, words and pictures of each, by the rule of its time."""
    rules = await service.rules(session, {row.id: (row.at, row.name) for row in rows})
    return {row.id: _read(rules[row.id], row.properties) for row in rows}


def _read(rule: ContentRule | None, said: Mapping[str, Any]) -> tuple[str | None, str | None, list[str]]:
    if rule is None:
        return None, None, []
    media = said.get(rule.media) if rule.media else None
    listed = media if isinstance(media, list) else [media]
    pictures = [item.get("url") if isinstance(item, Mapping) else item for item in listed]
    return (
        _text(said.get(rule.subject)) if rule.subject else None,
        _text(said.get(rule.text)) if rule.text else None,
        [item[:LONGEST] for item in pictures if isinstance(item, str)][:MOST_MEDIA],
    )


def _text(value: object) -> str | None:
    return None if value is None or isinstance(value, dict | list) else str(value)[:LONGEST]
