"""The SQL of the rules of other services that ask for segments."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_KEEP = text("""
    INSERT INTO segment_user AS u (service, kind, id, name, state, segments, version, said_at)
    SELECT service, kind, id, name, state, ARRAY(SELECT CAST(one AS uuid) FROM jsonb_array_elements_text(asked) AS one),
           version, said_at
    FROM unnest(CAST(:services AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:names AS text[]),
                CAST(:states AS text[]), CAST(:asked AS jsonb[]), CAST(:versions AS bigint[]),
                CAST(:ats AS timestamptz[])) AS said (service, kind, id, name, state, asked, version, said_at)
    ORDER BY service, kind, id
    ON CONFLICT (service, kind, id) DO UPDATE SET name = excluded.name, state = excluded.state,
        segments = excluded.segments, version = excluded.version, said_at = excluded.said_at
    WHERE (u.version, u.said_at) < (excluded.version, excluded.said_at)""")
# Every service says all its rules once a day: one that it has passed over for three was deleted while nobody said so.
_USERS = text("""
    SELECT service, kind, id, name, state FROM segment_user AS u
    WHERE CAST(:segment AS uuid) = ANY(segments)
      AND said_at > (SELECT max(said_at) FROM segment_user AS s WHERE s.service = u.service) - interval '3 days'
    ORDER BY service, kind, name, id""")


class Said(NamedTuple):
    """A rule of another service, as it stood when that said so."""

    service: str
    kind: str
    id: str
    name: str
    state: str
    segments: Sequence[UUID]
    version: int
    at: datetime


async def keep(session: WriteSession, said: Iterable[Said]) -> None:
    """Keep rules in any order, however often: of each the highest version, then what was said last."""
    newest: dict[tuple[str, str, str], Said] = {}
    for one in sorted(said, key=lambda one: (one.version, one.at)):
        newest[one.service, one.kind, one.id] = one
    rows = list(newest.values())
    bound = {
        "services": [row.service for row in rows],
        "kinds": [row.kind for row in rows],
        "ids": [row.id for row in rows],
        "names": [row.name for row in rows],
        "states": [row.state for row in rows],
        "asked": [json.dumps([str(segment) for segment in row.segments]) for row in rows],
        "versions": [row.version for row in rows],
        "ats": [row.at for row in rows],
    }
    if rows:
        await session.execute(_KEEP, bound)


async def users_of(session: ReadSession, segment_id: UUID) -> Sequence[Row[Any]]:
    """The rules that ask for a segment, as far as was heard: service, kind, id, name, state."""
    return (await session.execute(_USERS, {"segment": segment_id})).all()
