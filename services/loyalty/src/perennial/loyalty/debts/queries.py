"""The SQL of what splits left owed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.points.settling import Source, Spending

_SHOWN = """
    SELECT d.*, coalesce(m.customer_id, d.via) AS customer_id, coalesce(o.customer_id, d.lender) AS lender_id
    FROM split_debt d LEFT JOIN identity_map m ON m.via = d.via LEFT JOIN identity_map o ON o.via = d.lender"""
_PAGE = text(f"""
    {_SHOWN} WHERE (CAST(:state AS text) IS NULL OR d.state = :state)
      AND (CAST(:customer AS uuid) IS NULL
           OR d.via IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer))
      AND (CAST(:at AS timestamptz) IS NULL OR (d.at, d.id) < (:at, CAST(:id AS uuid)))
    ORDER BY d.at DESC, d.id DESC LIMIT :n""")  # noqa: S608 (constants)
_REJOINED = text("""
    SELECT d.* FROM split_debt d JOIN identity_map m ON m.via = d.via JOIN identity_map o ON o.via = d.lender
    WHERE d.state <> 'rejoined' AND m.customer_id = o.customer_id
      AND (d.via = ANY(CAST(:vias AS uuid[])) OR d.lender = ANY(CAST(:vias AS uuid[])))
    ORDER BY d.id FOR UPDATE OF d""")
_ADD = text("""
    INSERT INTO split_debt (id, posting_id, via, lender, currency, points, state, at, lot_id)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:postings AS uuid[]), CAST(:vias AS uuid[]), CAST(:lenders AS uuid[]),
        CAST(:currencies AS text[]), CAST(:points AS bigint[]), CAST(:states AS text[]), CAST(:ats AS timestamptz[]),
        CAST(:lots AS uuid[]))""")


@dataclass(frozen=True)
class Debt:
    """What `via` owes `lender`, whose points one spending had used."""

    id: UUID
    posting_id: UUID
    via: UUID
    lender: UUID
    currency: str
    points: int
    state: str
    at: datetime
    lot_id: UUID | None = None


@dataclass(frozen=True)
class Holdings:
    """What some identifiers have of one currency, each row with its identifier."""

    lots: Sequence[tuple[UUID, Source]]
    spendings: Sequence[tuple[UUID, Spending]]


async def holdings(session: ReadSession, vias: Collection[UUID]) -> dict[str, Holdings]:
    """The lots and spendings of identifiers, by currency."""
    spent = await session.execute(
        text("""SELECT p.via, p.currency, p.id, p.at,
                       CASE WHEN EXISTS (SELECT FROM posting r WHERE r.returns = p.id) THEN 0
                            ELSE -p.points END AS points
                FROM posting p
                WHERE p.via = ANY(CAST(:vias AS uuid[])) AND p.lot_id IS NULL AND p.returns IS NULL"""),
        {"vias": list(vias)},
    )
    spendings: dict[str, list[tuple[UUID, Spending]]] = {}
    for row in spent:
        spendings.setdefault(row.currency, []).append((row.via, Spending(row.id, row.points, row.at)))
    if not spendings:
        return {}
    rows = await session.execute(
        text("""SELECT via, currency, id, points - reversed - expired AS points, active_at, expires_at FROM lot
                WHERE via = ANY(CAST(:vias AS uuid[])) AND state = 'active' AND points > reversed + expired"""),
        {"vias": list(vias)},
    )
    lots: dict[str, list[tuple[UUID, Source]]] = {}
    for row in rows:
        lots.setdefault(row.currency, []).append(
            (row.via, Source(row.id, row.points, row.active_at, row.expires_at))
        )  # fmt: skip
    return {currency: Holdings(lots.get(currency, ()), spent) for currency, spent in spendings.items()}


async def rejoined(session: WriteSession, vias: Collection[UUID]) -> list[Debt]:
    """What is owed, or was waived, between identifiers that are one customer's again; held."""
    rows = await session.execute(_REJOINED, {"vias": list(vias)})
    return [_debt(row) for row in rows]


async def times(session: ReadSession, postings: Collection[UUID]) -> dict[tuple[UUID, UUID], int]:
    """How often each spending has been owed to somebody so far."""
    rows = await session.execute(
        text("""SELECT posting_id, lender, count(*) AS times FROM split_debt
                WHERE posting_id = ANY(CAST(:ids AS uuid[])) GROUP BY posting_id, lender"""),
        {"ids": list(postings)},
    )
    return {(row.posting_id, row.lender): row.times for row in rows}


async def add(session: WriteSession, debts: Sequence[Debt]) -> None:
    """Note what is owed."""
    names = {"ids": "id", "postings": "posting_id", "vias": "via", "lenders": "lender", "currencies": "currency",
             "points": "points", "states": "state", "ats": "at", "lots": "lot_id"}  # fmt: skip
    await session.execute(_ADD, {name: [getattr(debt, field) for debt in debts] for name, field in names.items()})


async def move(session: WriteSession, ids: Collection[UUID], state: str) -> None:
    """Bring debts to another state."""
    await session.execute(
        text("UPDATE split_debt SET state = :state WHERE id = ANY(CAST(:ids AS uuid[]))"),
        {"ids": list(ids), "state": state},
    )


async def decide(session: WriteSession, debt: Debt, who: str, at: datetime, note: str) -> None:
    """Note what somebody decided about a debt: its state and lot are as in `debt`."""
    await session.execute(
        text("""UPDATE split_debt SET state = :state, lot_id = :lot, decided_by = :who, decided_at = :at, note = :note
                WHERE id = :id"""),
        {"id": debt.id, "state": debt.state, "lot": debt.lot_id, "who": who, "at": at, "note": note},
    )


async def hold(session: WriteSession, debt_id: UUID) -> Debt | None:
    """A debt, held until the transaction ends."""
    row = (await session.execute(text("SELECT * FROM split_debt WHERE id = :id FOR UPDATE"), {"id": debt_id})).first()
    return None if row is None else _debt(row)


async def get(session: ReadSession, debt_id: UUID) -> Row[Any] | None:
    """A debt as it is shown."""
    return (await session.execute(text(f"{_SHOWN} WHERE d.id = :id"), {"id": debt_id})).first()


async def page(
    session: ReadSession, after: tuple[datetime, UUID] | None, limit: int, *, state: str | None, customer: UUID | None
) -> list[Row[Any]]:
    """Debts, the newest first."""
    at, last = after or (None, None)
    bound = {"state": state, "customer": customer, "at": at, "id": last, "n": limit}
    return list(await session.execute(_PAGE, bound))


def _debt(row: Row[Any]) -> Debt:
    return Debt(
        row.id, row.posting_id, row.via, row.lender, row.currency, row.points, row.state, row.at, row.lot_id
    )  # fmt: skip
