"""The SQL of what is said: for each identifier, trait and source the last word and the first."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import arrays

_NEWER = "(t.at, t.message_id) < (excluded.at, excluded.message_id)"
_EARLIER = """
    (excluded.first_at IS NOT NULL AND (t.first_at IS NULL
        OR (excluded.first_at, excluded.first_message_id) < (t.first_at, t.first_message_id)))"""
# first_value is null where the first word is the last one as well: most are.
_WRITE = f"""
    INSERT INTO trait AS t (via, key, source, value, at, message_id, first_value, first_at, first_message_id)
    SELECT via, key, source, value::jsonb, at, message_id, first_value::jsonb, first_at, first_message_id
    FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::timestamptz[],
                $6::text::text[], $7::text::text[], $8::text::timestamptz[], $9::text::text[])
        AS x(via, key, source, value, at, message_id, first_value, first_at, first_message_id)
    ON CONFLICT (via, key, source) DO UPDATE SET
        first_value = CASE
            WHEN {_EARLIER} THEN CASE WHEN {_NEWER} THEN excluded.first_value
                                 ELSE coalesce(excluded.first_value, excluded.value) END
            WHEN {_NEWER} THEN coalesce(t.first_value, t.value) ELSE t.first_value END,
        first_at = CASE WHEN {_EARLIER} THEN excluded.first_at ELSE t.first_at END,
        first_message_id = CASE WHEN {_EARLIER} THEN excluded.first_message_id ELSE t.first_message_id END,
        value = CASE WHEN {_NEWER} THEN excluded.value ELSE t.value END,
        fits = {_NEWER} OR t.fits,
        at = greatest(t.at, excluded.at),
        message_id = CASE WHEN {_NEWER} THEN excluded.message_id ELSE t.message_id END
    WHERE {_NEWER} OR {_EARLIER}"""  # noqa: S608 (ours)
_TALLY = """
    INSERT INTO trait_tally (key, source, day, outcome, type, count, first_at, last_at, examples)
    SELECT key, source, day, outcome, type, count, first_at, last_at, string_to_array(examples, chr(31))
    FROM unnest($1::text::text[], $2::text::text[], $3::text::date[], $4::text::text[], $5::text::text[],
                $6::text::bigint[], $7::text::timestamptz[], $8::text::timestamptz[], $9::text::text[])
        AS x(key, source, day, outcome, type, count, first_at, last_at, examples)"""

Stamp = tuple[datetime, str, str]
Tally = tuple[str, str, date, str, str, int, datetime, datetime, str]
SEPARATOR = "\x1f"


class Said(msgspec.Struct, frozen=True):
    """One trait said of an identifier, as JSON text; None cleared it. The stamp is its time, source and message."""

    via: UUID
    key: str
    value: str | None
    stamp: Stamp
    live: bool


class Words(msgspec.Struct):
    """What one source said of a trait of an identifier: last, and first of what did not clear it."""

    last: Said
    first: Said | None


async def write(session: WriteSession, said: Sequence[Words]) -> None:
    """Keep what is newer or older than what is stored; unique and sorted by identifier, trait and source."""
    await (await raw(session)).execute(_WRITE, *arrays(map(_columns, said)))


def _columns(words: Words) -> tuple[object, ...]:
    last, first = words.last, words.first
    at, source, message_id = last.stamp
    begun = (None, None, None) if first is None else (first.value, first.stamp[0], first.stamp[2])
    if first is not None and first.stamp == last.stamp:
        begun = (None, at, message_id)
    return (last.via, last.key, source, last.value, at, message_id, *begun)


async def tally(session: WriteSession, rows: Sequence[Tally]) -> None:
    """Count (key, source, day, outcome, type, count, first_at, last_at, examples joined by SEPARATOR)."""
    if rows:
        await (await raw(session)).execute(_TALLY, *arrays(rows))
