"""The SQL of earning: what was given, and what is known of customers."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.earning.caps import Use


@dataclass(frozen=True, slots=True)
class Activity:
    """An event that was asked about, and what the rules saw of it."""

    id: UUID
    via: UUID
    name: str
    source: str
    at: datetime
    day: date
    live: bool
    told: Mapping[str, Any]


async def uses(session: ReadSession, vias: Collection[UUID], first: date, last: date) -> list[Use]:
    """What rules with caps have given to identifiers within some days."""
    rows = await session.execute(
        text("""SELECT cause_id, rule, via, currency, subject, day, points FROM cap_use
                WHERE via = ANY(:vias) AND day BETWEEN :first AND :last ORDER BY day, cause_id, rule"""),
        {"vias": list(vias), "first": first, "last": last},
    )
    return [Use(*row) for row in rows]


async def uses_of(session: ReadSession, cause: UUID) -> dict[str, int]:
    """What rules with caps have given for one cause."""
    rows = await session.execute(text("SELECT rule, points FROM cap_use WHERE cause_id = :id"), {"id": cause})
    return {row.rule: row.points for row in rows}


async def replace_uses(session: WriteSession, causes: Collection[UUID], made: Sequence[Use]) -> None:
    """Write what rules give for causes now."""
    await session.execute(text("DELETE FROM cap_use WHERE cause_id = ANY(:ids)"), {"ids": list(causes)})
    if made:
        await session.execute(
            text("""INSERT INTO cap_use (cause_id, rule, via, currency, subject, day, points) SELECT * FROM unnest(
                        CAST(:causes AS uuid[]), CAST(:rules AS text[]), CAST(:vias AS uuid[]),
                        CAST(:currencies AS text[]), CAST(:subjects AS text[]), CAST(:days AS date[]),
                        CAST(:points AS bigint[]))"""),
            {
                "causes": [use.cause for use in made],
                "rules": [use.rule for use in made],
                "vias": [use.via for use in made],
                "currencies": [use.currency for use in made],
                "subjects": [use.subject for use in made],
                "days": [use.day for use in made],
                "points": [use.points for use in made],
            },
        )


async def add_activities(session: WriteSession, activities: Sequence[Activity]) -> set[UUID]:
    """Keep events that nobody has asked about; returns which those were."""
    made = await session.execute(
        text("""INSERT INTO activity (id, via, name, source, at, day, live, told) SELECT * FROM unnest(
                    CAST(:ids AS uuid[]), CAST(:vias AS uuid[]), CAST(:names AS text[]), CAST(:sources AS text[]),
                    CAST(:ats AS timestamptz[]), CAST(:days AS date[]), CAST(:lives AS boolean[]),
                    CAST(:tolds AS jsonb[]))
                ON CONFLICT (id) DO NOTHING RETURNING id"""),
        {
            "ids": [item.id for item in activities],
            "vias": [item.via for item in activities],
            "names": [item.name for item in activities],
            "sources": [item.source for item in activities],
            "ats": [item.at for item in activities],
            "days": [item.day for item in activities],
            "lives": [item.live for item in activities],
            "tolds": [json.dumps(item.told) for item in activities],
        },
    )
    return set(made.scalars())


async def activity(session: ReadSession, activity_id: UUID) -> Activity | None:
    """An event that was asked about."""
    found = await session.execute(
        text("SELECT id, via, name, source, at, day, live, told FROM activity WHERE id = :id"), {"id": activity_id}
    )
    row = found.one_or_none()
    return None if row is None else Activity(*row)


async def tiers(session: ReadSession, vias: Collection[UUID]) -> Mapping[UUID, str]:
    """The tier of the customer of each identifier, where there is one."""
    rows = await session.execute(
        text("""SELECT m.via, t.tier FROM identity_map m JOIN tier_state t ON t.customer_id = m.customer_id
                WHERE m.via = ANY(:vias)"""),
        {"vias": list(vias)},
    )
    return {row.via: row.tier for row in rows}


async def birthdays(session: ReadSession, vias: Collection[UUID]) -> Mapping[UUID, str]:
    """The birthday of the customer of each identifier: what was said last by any of the customer's."""
    rows = await session.execute(
        text("""SELECT DISTINCT ON (s.via) s.via, b.day
                FROM unnest(CAST(:vias AS uuid[])) AS s (via)
                LEFT JOIN identity_map m ON m.via = s.via
                LEFT JOIN identity_map o ON o.customer_id = m.customer_id
                JOIN birthday b ON b.via = coalesce(o.via, s.via)
                ORDER BY s.via, b.at DESC, b.event_id DESC"""),
        {"vias": list(vias)},
    )
    return {row.via: row.day for row in rows if row.day is not None}


async def put_birthdays(session: WriteSession, said: Sequence[tuple[UUID, str | None, datetime, UUID]]) -> None:
    """Take over birthdays as traits told them: one row for each identifier, the latest by time holds."""
    await session.execute(
        text("""INSERT INTO birthday AS b (via, day, at, event_id) SELECT * FROM unnest(
                    CAST(:vias AS uuid[]), CAST(:days AS text[]), CAST(:ats AS timestamptz[]), CAST(:ids AS uuid[]))
                ON CONFLICT (via) DO UPDATE SET day = excluded.day, at = excluded.at, event_id = excluded.event_id
                WHERE (b.at, b.event_id) < (excluded.at, excluded.event_id)"""),
        {
            "vias": [item[0] for item in said],
            "days": [item[1] for item in said],
            "ats": [item[2] for item in said],
            "ids": [item[3] for item in said],
        },
    )


async def first_orders(session: ReadSession, vias: Collection[UUID]) -> list[tuple[UUID, datetime, UUID]]:
    """The earliest orders of identifiers, two of each: `via`, time, the order's id."""
    rows = await session.execute(
        text("""SELECT v.via, p.completed_at, p.id FROM unnest(CAST(:vias AS uuid[])) AS v (via)
                CROSS JOIN LATERAL (SELECT completed_at, id FROM purchase WHERE purchase.via = v.via
                    AND completed_at IS NOT NULL ORDER BY completed_at, id LIMIT 2) AS p ORDER BY v.via"""),
        {"vias": list(vias)},
    )
    return [(row.via, row.completed_at, row.id) for row in rows]
