"""Consent in SQL: statements are only added, what holds is derived of them."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession

_COLUMNS = """id, via, purpose, channel, state, at, legal_basis, text_locale, text_version, text_hash, separate,
              expires_at, source, method, who, evidence"""
_ADD = text(f"""
    INSERT INTO consent ({_COLUMNS})
    SELECT {_COLUMNS} FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n (
        id uuid, via uuid, purpose text, channel text, state text, at timestamptz, legal_basis text, text_locale text,
        text_version integer, text_hash text, separate boolean, expires_at timestamptz, source text, method text,
        who text, evidence jsonb)
    ON CONFLICT (id) DO NOTHING RETURNING id""")  # noqa: S608 (our own column names)
# The newest of all identifiers; of two at the same instant the withdrawal.
_NEWEST = text("""
    SELECT DISTINCT ON (purpose, channel) purpose, channel, state, at, legal_basis, text_locale, text_version,
           text_hash, separate, expires_at, source, method
    FROM identity_map AS m JOIN consent AS c USING (via)
    WHERE m.customer_id = (SELECT customer_id FROM identity_map WHERE via = :customer)
    ORDER BY purpose, channel, at DESC, state DESC, id DESC""")
_HISTORY = text(f"""
    SELECT {_COLUMNS}, recorded_at FROM identity_map AS m JOIN consent AS c USING (via)
    WHERE m.customer_id = (SELECT customer_id FROM identity_map WHERE via = :customer)
      AND (CAST(:at AS timestamptz) IS NULL OR (at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
      AND (CAST(:purpose AS text) IS NULL OR purpose = :purpose)
    ORDER BY at DESC, id DESC LIMIT :limit""")  # noqa: S608
_PURPOSES = text("""
    SELECT key, position, labels, channels, legal_basis, separate, cross_border, valid_days, version
    FROM consent_purpose ORDER BY position, key""")
_PUT = text("""
    INSERT INTO consent_purpose AS p (key, position, labels, channels, legal_basis, separate, cross_border, valid_days)
    VALUES (:key, :position, CAST(:labels AS jsonb), CAST(:channels AS text[]), :legal_basis, :separate, :cross_border,
            :valid_days)
    ON CONFLICT (key) DO UPDATE SET position = excluded.position, labels = excluded.labels,
        channels = excluded.channels, legal_basis = excluded.legal_basis, separate = excluded.separate,
        cross_border = excluded.cross_border, valid_days = excluded.valid_days, version = p.version + 1""")
_ADD_TEXT = text("""
    INSERT INTO consent_text (purpose, locale, version, title, body, hash, created_by)
    SELECT :purpose, :locale, coalesce(max(version), 0) + 1, :title, :body, :hash, :who FROM consent_text
    WHERE purpose = :purpose AND locale = :locale
    RETURNING purpose, locale, version, title, body, hash, created_by, created_at""")
_TEXTS = text("""
    SELECT purpose, locale, version, title, body, hash, created_by, created_at FROM consent_text
    WHERE (CAST(:purpose AS text) IS NULL OR purpose = :purpose)
      AND (CAST(:locale AS text) IS NULL OR locale = :locale)
    ORDER BY purpose, locale, version DESC LIMIT :limit""")
_CURRENT_TEXTS = text("""
    SELECT DISTINCT ON (purpose, locale) purpose, locale, version, title, body, hash
    FROM consent_text ORDER BY purpose, locale, version DESC""")
_HASHES = text("""
    SELECT purpose, locale, version, hash FROM consent_text JOIN
        unnest(CAST(:purposes AS text[]), CAST(:locales AS text[]), CAST(:versions AS int[]))
            AS shown (purpose, locale, version) USING (purpose, locale, version)""")

Shown = tuple[str, str | None, int | None]


async def hold(session: WriteSession) -> None:
    """Nobody else changes purposes or adds texts until the transaction ends; readers go on."""
    await session.execute(text("LOCK TABLE consent_purpose IN SHARE ROW EXCLUSIVE MODE"))


class Statement(NamedTuple):
    """One thing that a customer said, as it is written."""

    id: UUID
    via: UUID
    purpose: str
    channel: str
    state: str
    at: datetime
    legal_basis: str
    text_locale: str | None
    text_version: int | None
    text_hash: str | None
    separate: bool
    expires_at: datetime | None
    source: str
    method: str
    who: str
    evidence: dict[str, Any]


async def add(session: WriteSession, statements: Sequence[Statement]) -> set[UUID]:
    """Write statements, each once; the ids of those that are new."""
    rows = json.dumps([item._asdict() for item in statements], default=str)
    return set((await session.execute(_ADD, {"rows": rows})).scalars())


async def newest(session: ReadSession, customer: UUID) -> Sequence[RowMapping]:
    """What a customer said last, by purpose and channel."""
    return (await session.execute(_NEWEST, {"customer": customer})).mappings().all()


async def history(
    session: ReadSession, customer: UUID, after: tuple[datetime, UUID] | None, purpose: str | None, limit: int
) -> Sequence[RowMapping]:
    """All that a customer said, newest first."""
    at, last = after or (None, None)
    bound = {"customer": customer, "at": at, "id": last, "purpose": purpose, "limit": limit}
    return (await session.execute(_HISTORY, bound)).mappings().all()


async def purposes(session: ReadSession) -> Sequence[RowMapping]:
    """The purposes, in their order."""
    return (await session.execute(_PURPOSES)).mappings().all()


async def put_purpose(session: WriteSession, key: str, values: dict[str, Any]) -> None:
    """Write a purpose."""
    await session.execute(_PUT, {**values, "key": key, "labels": json.dumps(values["labels"])})


async def add_text(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    """Write the next version of a text."""
    return (await session.execute(_ADD_TEXT, values)).mappings().one()


async def texts(session: ReadSession, purpose: str | None, locale: str | None, limit: int) -> Sequence[RowMapping]:
    """Versions of texts, newest first."""
    bound = {"purpose": purpose, "locale": locale, "limit": limit}
    return (await session.execute(_TEXTS, bound)).mappings().all()


async def current_texts(session: ReadSession) -> dict[tuple[str, str], RowMapping]:
    """The newest version of each text, by purpose and locale."""
    rows = (await session.execute(_CURRENT_TEXTS)).mappings()
    return {(row["purpose"], row["locale"]): row for row in rows}


async def hashes_of(session: ReadSession, shown: Collection[Shown]) -> dict[Shown, str]:
    """The hashes of texts by (purpose, locale, version); those that there are."""
    if not shown:
        return {}
    purposes, locales, versions = map(list, zip(*shown, strict=True))
    bound = {"purposes": purposes, "locales": locales, "versions": versions}
    return {(row[0], row[1], row[2]): row[3] for row in await session.execute(_HASHES, bound)}
