"""Findings and the index of values that should be unique, as they are written."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.ids import uuid7
from perennial.profile.traits.queries import Said

NOBODY = UUID(int=0)
MOST_HOLDERS = 200

_WRITE = """
    INSERT INTO quality_finding AS f
        (id, rule, kind, action, key, source, via, value, taken, at, message_id, first, state, found_at)
    SELECT id, rule, kind, action, key, source, via, value::jsonb, taken::jsonb, at, message_id, first::jsonb, 'open',
           $13
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
                $9::text[], $10::timestamptz[], $11::text[], $12::text[])
        AS x(id, rule, kind, action, key, source, via, value, taken, at, message_id, first)
    ON CONFLICT (rule, via, key, source) DO UPDATE SET action = excluded.action, value = excluded.value,
        taken = excluded.taken, at = excluded.at, message_id = excluded.message_id, first = excluded.first,
        state = 'open', found_at = excluded.found_at, ended_at = NULL
    WHERE (f.at, f.message_id) < (excluded.at, excluded.message_id)
       OR (f.state <> 'open' AND excluded.first IS NOT NULL)"""
_HOLDERS = text(f"""
    SELECT n.key, n.digest, ARRAY(
        SELECT DISTINCT coalesce(m.customer_id, v.via)
        FROM (SELECT via FROM quality_value AS q WHERE q.key = n.key AND q.digest = n.digest LIMIT {MOST_HOLDERS}) AS v
        LEFT JOIN identity_map AS m USING (via)) AS customers
    FROM unnest(CAST(:keys AS text[]), CAST(:digests AS bytea[])) AS n (key, digest)""")  # noqa: S608 (ours)
# Of a value that very many give the holders are cut off: those of the batch must be among them for all that.
_OWN = text("""
    SELECT v.key, v.digest, m.customer_id
    FROM unnest(CAST(:keys AS text[]), CAST(:digests AS bytea[])) AS n (key, digest)
    JOIN identity_map AS m ON m.customer_id = ANY(CAST(:owners AS uuid[]))
    JOIN quality_value AS v ON v.via = m.via AND v.key = n.key AND v.digest = n.digest""")
_INDEX = """
    INSERT INTO quality_value AS q (key, via, source, digest, at, message_id)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::timestamptz[], $6::text[])
    ON CONFLICT (key, via, source) DO UPDATE SET digest = excluded.digest, at = excluded.at,
        message_id = excluded.message_id
    WHERE (q.at, q.message_id) < (excluded.at, excluded.message_id)"""


class Sealer(Protocol):
    """Seals what is sensitive."""

    def sealed(self, via: UUID, key: str, said: str) -> str:
        """The JSON text to store for JSON text."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement that a rule caught: what was said, and what was taken in its place (JSON texts)."""

    rule: UUID
    kind: str
    action: str
    key: str
    source: str
    via: UUID
    value: str | None
    taken: str | None
    at: datetime
    message_id: str
    first: str | None = None

    def row(self, sealer: Sealer) -> tuple[object, ...]:
        """Its columns, values sealed as the trait's are."""
        value, taken = (said and sealer.sealed(self.via, self.key, said) for said in (self.value, self.taken))
        return (
            uuid7(), self.rule, self.kind, self.action, self.key, self.source, self.via, value, taken, self.at,
            self.message_id, self.first,
        )  # fmt: skip


async def write(session: WriteSession, findings: Collection[Finding], sealer: Sealer) -> None:
    """Keep the newest finding of each rule, identifier, trait and source."""
    newest: dict[tuple[UUID, UUID, str, str], Finding] = {}
    for found in findings:
        place = (found.rule, found.via, found.key, found.source)
        if place not in newest or (newest[place].at, newest[place].message_id) < (found.at, found.message_id):
            newest[place] = found
    if newest:
        rows = [newest[place].row(sealer) for place in sorted(newest)]
        await (await raw(session)).execute(_WRITE, *zip(*rows, strict=True), utc_now())


async def holders(
    session: ReadSession, asked: Sequence[tuple[str, bytes]], owners: Collection[UUID]
) -> dict[tuple[str, bytes], set[UUID]]:
    """The customers that give each of these values: (trait, digest); of more than some only those of `owners`."""
    if not asked:
        return {}
    keys, digests = zip(*asked, strict=True)
    found = await session.execute(_HOLDERS, {"keys": list(keys), "digests": list(digests)})
    given = {(row.key, bytes(row.digest)): set(row.customers) for row in found}
    if any(len(customers) >= MOST_HOLDERS for customers in given.values()):
        bound = {"keys": list(keys), "digests": list(digests), "owners": list(owners)}
        for row in await session.execute(_OWN, bound):
            given[row.key, bytes(row.digest)].add(row.customer_id)
    return given


async def index(session: WriteSession, taken: Iterable[tuple[Said, bytes | None]]) -> None:
    """Remember what was said last where it should be unique."""
    newest: dict[tuple[str, UUID, str], tuple[Said, bytes | None]] = {}
    for said, digest in taken:
        place = (said.key, said.via, said.stamp[1])
        if place not in newest or newest[place][0].stamp < said.stamp:
            newest[place] = (said, digest)
    rows = [
        (key, via, source, digest, said.stamp[0], said.stamp[2])
        for (key, via, source), (said, digest) in sorted(newest.items(), key=lambda item: item[0])
    ]
    if rows:
        await (await raw(session)).execute(_INDEX, *zip(*rows, strict=True))


async def unique_keys(session: ReadSession) -> set[str]:
    """The traits whose values should be unique."""
    statement = text("""
        SELECT DISTINCT definition ->> 'key' FROM quality_rule
        WHERE NOT archived AND definition ->> 'kind' = 'duplicate'""")
    return set((await session.execute(statement)).scalars())


def stated(row: Any) -> str | None:
    """The JSON text of what a stored statement said first, to be put back with it; None where nothing but itself."""
    if row.first_at is None:
        return json.dumps({"none": True})
    first = {"value": row.first_value, "at": row.first_at.isoformat(), "message_id": row.first_message_id}
    return json.dumps(first)
