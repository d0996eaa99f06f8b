"""The SQL of redemptions. Locks go from a redemption to its customer, their accounts, the reward, and its codes."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_SHOWN = """
    SELECT r.*, w.name, coalesce(m.customer_id, r.via) AS customer_id,
           w.instant AND (r.credit_currency IS NOT NULL OR c.id IS NOT NULL) AS instant,
           CASE WHEN r.state = 'fulfilled' THEN c.code END AS code
    FROM redemption r JOIN reward w ON w.id = r.reward_id
    LEFT JOIN identity_map m ON m.via = r.via
    LEFT JOIN voucher_code c ON c.redemption_id = r.id"""
_RESERVE = text("SELECT * FROM reserve_reward(:id, :reward, :via, :points, :at, :zone, :base)")
_PAGE = text(f"""
    {_SHOWN} WHERE (CAST(:customer AS uuid) IS NULL
                    OR r.via IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer))
      AND (CAST(:reward AS uuid) IS NULL OR r.reward_id = :reward)
      AND (CAST(:state AS text) IS NULL OR r.state = :state)
      AND (CAST(:at AS timestamptz) IS NULL OR (r.reserved_at, r.id) < (:at, CAST(:id AS uuid)))
    ORDER BY r.reserved_at DESC, r.id DESC LIMIT :n""")  # noqa: S608 (constants)
_MOVE = text("""
    UPDATE redemption SET
        state = :state, version = version + 1,
        confirmed_at = CASE WHEN :state = 'confirmed' THEN :at ELSE confirmed_at END,
        fulfilled_at = CASE WHEN :state = 'fulfilled' THEN :at ELSE fulfilled_at END,
        ended_at = CASE WHEN :state IN ('cancelled', 'expired') THEN CAST(:at AS timestamptz) ELSE ended_at END,
        payment_reference = coalesce(:payment, payment_reference), note = coalesce(:note, note)
    WHERE id = ANY(CAST(:ids AS uuid[]))""")


async def hold_customer(session: WriteSession, via: UUID) -> None:
    """Keep whoever an identifier is as they are, until the transaction ends."""
    await session.execute(text("SELECT hold_customer(:via)"), {"via": via})


async def reserve(
    session: WriteSession, redemption_id: UUID, reward_id: UUID, via: UUID, points: int | None, at: datetime,
    zone: str, base: str,
) -> Row[Any]:  # fmt: skip
    """One round trip: ask all that can refuse, take one of the stock and its code, and spend the points.

    Returns `outcome` (reserved, repeated, unknown, price, or a refusal: then nothing was written), `customer`, and
    what the account of `via` is after it. `points` is the price that is agreed to, if any; `base` the lowest tier.
    """
    bound = {
        "id": redemption_id,
        "reward": reward_id,
        "via": via,
        "points": points,
        "at": at,
        "zone": zone,
        "base": base,
    }
    return (await session.execute(_RESERVE, bound)).one()


async def get(session: ReadSession, redemption_ids: Collection[UUID]) -> list[Row[Any]]:
    """Redemptions by id."""
    found = await session.execute(
        text(f"{_SHOWN} WHERE r.id = ANY(CAST(:ids AS uuid[])) ORDER BY r.id"), {"ids": list(redemption_ids)}
    )
    return list(found)


async def hold(session: WriteSession, redemption_id: UUID) -> None:
    """Hold a redemption until the transaction ends."""
    await session.execute(text("SELECT FROM redemption WHERE id = :id FOR UPDATE"), {"id": redemption_id})


async def overdue(session: WriteSession, now: datetime, limit: int) -> list[UUID]:
    """Reservations that nobody has confirmed in time, held; those that somebody else holds are left to them."""
    rows = await session.execute(
        text("""SELECT id FROM redemption WHERE state = 'reserved' AND expires_at <= :now
                ORDER BY expires_at, id LIMIT :n FOR UPDATE SKIP LOCKED"""),
        {"now": now, "n": limit},
    )
    return list(rows.scalars())


async def page(
    session: ReadSession, customer: UUID | None, after: tuple[datetime, UUID] | None, limit: int, *,
    reward: UUID | None = None, state: str | None = None,
) -> list[Row[Any]]:  # fmt: skip
    """Redemptions of a customer, or of all, the newest first."""
    at, last = after or (None, None)
    bound = {"customer": customer, "reward": reward, "state": state, "at": at, "id": last, "n": limit}
    return list(await session.execute(_PAGE, bound))


async def move(
    session: WriteSession, ids: Collection[UUID], state: str, at: datetime, *, payment: str | None = None,
    note: str | None = None,
) -> list[Row[Any]]:  # fmt: skip
    """Bring held redemptions to another state; returns them as they are then."""
    bound = {"ids": list(ids), "state": state, "at": at, "payment": payment, "note": note}
    await session.execute(_MOVE, bound)
    return await get(session, ids)


async def put_back(session: WriteSession, rows: Sequence[Row[Any]]) -> None:
    """Give the stock and the codes of redemptions back."""
    taken = Counter(row.reward_id for row in rows)
    rewards = sorted(taken)
    await session.execute(text("SELECT FROM reward WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": rewards})
    await session.execute(
        text("""UPDATE reward SET taken = taken - n.count
                FROM unnest(CAST(:ids AS uuid[]), CAST(:counts AS bigint[])) AS n (id, count)
                WHERE reward.id = n.id"""),
        {"ids": rewards, "counts": [taken[reward] for reward in rewards]},
    )
    await session.execute(
        text("UPDATE voucher_code SET redemption_id = NULL WHERE redemption_id = ANY(:ids)"),
        {"ids": [row.id for row in rows]},
    )
