"""Likenesses and suggestions in SQL."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.ids import uuid7
from perennial.identity.suggestions.pairs import Pair

CHUNK = 5000
MOST_PENDING = 10_000

_KEEP = """
    INSERT INTO likeness (via, field, at, sealed)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bytea[]) AS new (via, field, at, sealed)
    ORDER BY via, field
    ON CONFLICT (via, field) DO UPDATE SET at = excluded.at, sealed = excluded.sealed WHERE likeness.at < excluded.at"""
# A customer's rows come together, the newest first.
_LIKENESSES = text("""
    SELECT m.customer_id, l.via, l.field, l.at, l.sealed, NULL AS digest
    FROM likeness l JOIN identity_map m ON m.via = l.via WHERE l.sealed IS NOT NULL
    UNION ALL
    SELECT m.customer_id, i.id, i.kind, i.created_at, i.sealed, i.digest
    FROM identifier i JOIN identity_map m ON m.via = i.id
    WHERE i.kind IN ('email', 'phone')
    ORDER BY customer_id, at DESC, via, field""")
_SUGGEST = text("""
    INSERT INTO suggestion (id, low, high, state, weight, probability, fields)
    SELECT id, low, high, 'pending', weight, probability, fields
    FROM unnest(CAST(:ids AS uuid[]), CAST(:lows AS uuid[]), CAST(:highs AS uuid[]), CAST(:weights AS real[]),
                CAST(:probabilities AS real[]), CAST(:fields AS jsonb[])) AS new
                (id, low, high, weight, probability, fields)
    ORDER BY low, high
    ON CONFLICT (low, high) DO UPDATE SET state = 'pending', weight = excluded.weight,
        probability = excluded.probability, fields = excluded.fields, seen_at = now()
    WHERE suggestion.state IN ('pending', 'withdrawn')""")
_WITHDRAW = text("""
    UPDATE suggestion SET state = 'withdrawn' WHERE state = 'pending' AND NOT EXISTS (
      SELECT FROM unnest(CAST(:lows AS uuid[]), CAST(:highs AS uuid[])) AS found (low, high)
      WHERE found.low = suggestion.low AND found.high = suggestion.high)""")
# Pairs that a person has parted or will not have joined, by the customers of today.
_UNDECIDED = text("""
    WITH decided AS (
      SELECT least(a.customer_id, b.customer_id) AS low, greatest(a.customer_id, b.customer_id) AS high
      FROM (SELECT low, high FROM suggestion WHERE state = 'rejected' UNION SELECT low, high FROM separation) AS apart
      JOIN identity_map a ON a.via = apart.low JOIN identity_map b ON b.via = apart.high)
    SELECT number
    FROM unnest(CAST(:lows AS uuid[]), CAST(:highs AS uuid[])) WITH ORDINALITY AS found (low, high, number)
    WHERE (low, high) NOT IN (SELECT low, high FROM decided) ORDER BY number LIMIT :most""")
_SHOWN = (
    "id, low, high, state, weight, probability, fields, created_at, seen_at, decided_at, decided_by, reason, merge_id"
)
_LIST = text(f"""
    SELECT {_SHOWN} FROM suggestion
    WHERE state = :state
      AND (CAST(:weight AS real) IS NULL OR (weight, id) < (CAST(:weight AS real), CAST(:id AS uuid)))
      AND (CAST(:customer AS uuid) IS NULL OR low = CAST(:customer AS uuid) OR high = CAST(:customer AS uuid))
    ORDER BY weight DESC, id DESC LIMIT :limit""")  # noqa: S608 (our own column names)
_ONE = text(f"SELECT {_SHOWN} FROM suggestion WHERE id = :id")  # noqa: S608
_DECIDE = text("""
    UPDATE suggestion SET state = :state, decided_at = now(), decided_by = :who, reason = :reason, merge_id = :merge
    WHERE id = :id""")


class Said(NamedTuple):
    """One field of a likeness, to be kept; nothing sealed when the event cleared it."""

    via: UUID
    field: str
    at: datetime
    sealed: bytes | None


async def keep(session: WriteSession, said: Sequence[Said]) -> None:
    """Keep what is newer than what is known."""
    await (await raw(session)).execute(_KEEP, *zip(*said, strict=True))


async def likenesses(session: ReadSession) -> AsyncIterator[Sequence[RowMapping]]:
    """Every field of every customer, and their e-mail addresses and phone numbers, in chunks."""
    rows = await session.stream(_LIKENESSES, execution_options={"yield_per": CHUNK})
    async for chunk in rows.mappings().partitions(CHUNK):
        yield chunk


async def undecided(session: ReadSession, pairs: Sequence[Pair], most: int = MOST_PENDING) -> list[Pair]:
    """The first of these pairs of today's customers that nobody has rejected or parted, in their order."""
    lows, highs = [UUID(pair.low) for pair in pairs], [UUID(pair.high) for pair in pairs]
    rows = await session.execute(_UNDECIDED, {"lows": lows, "highs": highs, "most": most})
    return [pairs[number - 1] for number in rows.scalars()]


async def suggest(session: WriteSession, pairs: Iterable[Pair]) -> None:
    """Queue these pairs, best first; what was queued and is not among them is withdrawn."""
    queued = list(pairs)[:MOST_PENDING]
    lows, highs = [UUID(pair.low) for pair in queued], [UUID(pair.high) for pair in queued]
    fields = [{name: {"level": level, "weight": weight} for name, (level, weight) in pair.fields.items()}
              for pair in queued]  # fmt: skip
    await session.execute(_WITHDRAW, {"lows": lows, "highs": highs})
    await session.execute(
        _SUGGEST,
        {
            "ids": [uuid7() for _ in queued],
            "lows": lows,
            "highs": highs,
            "weights": [pair.weight for pair in queued],
            "probabilities": [pair.probability for pair in queued],
            "fields": [json.dumps(found) for found in fields],
        },
    )


async def listing(
    session: ReadSession, state: str, customer: UUID | None, after: tuple[float, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """Suggestions of a state, the heaviest first."""
    weight, last = after or (None, None)
    wanted = {"state": state, "customer": customer, "weight": weight, "id": last, "limit": limit}
    return (await session.execute(_LIST, wanted)).mappings().all()


async def one(session: ReadSession, suggestion_id: UUID) -> RowMapping | None:
    """A suggestion."""
    return (await session.execute(_ONE, {"id": suggestion_id})).mappings().one_or_none()


async def hold(session: WriteSession, suggestion_id: UUID) -> None:
    """Wait for whoever decides the same suggestion."""
    await session.execute(text("SELECT FROM suggestion WHERE id = :id FOR UPDATE"), {"id": suggestion_id})


async def decide(
    session: WriteSession, suggestion_id: UUID, state: str, who: str, reason: str, merge: UUID | None
) -> None:
    """Note what a person has decided."""
    values = {"id": suggestion_id, "state": state, "who": who, "reason": reason, "merge": merge}
    await session.execute(_DECIDE, values)
