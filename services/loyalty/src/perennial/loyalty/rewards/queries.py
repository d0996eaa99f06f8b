"""The SQL of the catalogue and of its codes."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

MANY = 1_000

# How many codes are left is counted for the few rewards of a page, by an index of the free ones.
_SHOWN = """
    SELECT w.*, CASE WHEN w.codes THEN (
        SELECT count(*) FROM voucher_code c WHERE c.reward_id = w.id AND c.redemption_id IS NULL) END AS codes_left
    FROM reward w"""
# Customers ask all day: of a large pool they are told that there are MANY, and no more of it is read.
_OFFERED = f"""
    SELECT w.*, CASE WHEN w.codes THEN (SELECT count(*) FROM (
        SELECT FROM voucher_code c WHERE c.reward_id = w.id AND c.redemption_id IS NULL LIMIT {MANY}) AS free
        ) END AS codes_left
    FROM reward w"""  # noqa: S608 (constants)
_COLUMNS = (
    "kind", "state", "name", "description", "points", "currency", "amount", "money", "credit_currency",
    "credit_points", "stock", "codes", "starts_at", "ends_at", "limits", "tiers", "hold_minutes", "instant",
)  # fmt: skip
_TYPES = {"name": "jsonb", "description": "jsonb", "limits": "jsonb", "tiers": "text[]"}
_VALUES = {name: f"CAST(:{name} AS {_TYPES[name]})" if name in _TYPES else f":{name}" for name in _COLUMNS}
_INSERT = text(
    f"INSERT INTO reward (id, version, {', '.join(_COLUMNS)}) VALUES (:id, 1, {', '.join(_VALUES.values())})"  # noqa: S608 (constants)
)
_UPDATE = text(
    f"UPDATE reward SET version = version + 1, {', '.join(f'{name} = {value}' for name, value in _VALUES.items())} "  # noqa: S608
    "WHERE id = :id"
)
_OFFERS = text(f"""
    SELECT w.*, reward_refusals(w.id, :customer, :now, :zone, :base) AS why_not
    FROM ({_OFFERED} WHERE w.state = 'active' AND (w.ends_at IS NULL OR w.ends_at > :now)
            AND (CAST(:after AS timestamptz) IS NULL OR (w.created_at, w.id) < (:after, CAST(:id AS uuid)))
          ORDER BY w.created_at DESC, w.id DESC LIMIT :n) AS w
    ORDER BY w.created_at DESC, w.id DESC""")  # noqa: S608


def _bound(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if _TYPES.get(name) == "jsonb" else value for name, value in values.items()}


async def insert(session: WriteSession, reward_id: UUID, values: Mapping[str, Any]) -> bool:
    """Add a reward; `values` are its columns."""
    known = await session.execute(text("SELECT EXISTS (SELECT FROM reward WHERE id = :id)"), {"id": reward_id})
    if known.scalar_one():
        return False
    await session.execute(_INSERT, {"id": reward_id, **_bound(values)})
    return True


async def update(session: WriteSession, reward_id: UUID, values: Mapping[str, Any]) -> None:
    """Put a new version of a reward; the caller holds its row."""
    await session.execute(_UPDATE, {"id": reward_id, **_bound(values)})


async def hold(session: WriteSession, reward_id: UUID) -> Row[Any] | None:
    """The version of a reward and how many are taken, held until the transaction ends."""
    found = await session.execute(
        text("SELECT version, taken, codes FROM reward WHERE id = :id FOR UPDATE"), {"id": reward_id}
    )
    return found.one_or_none()


async def terms(session: ReadSession, reward_id: UUID) -> Row[Any] | None:
    """The state, the money and whether it takes codes, of a reward."""
    found = await session.execute(text("SELECT state, money, codes FROM reward WHERE id = :id"), {"id": reward_id})
    return found.one_or_none()


async def one(session: ReadSession, reward_id: UUID) -> Row[Any] | None:
    """A reward."""
    return (await session.execute(text(f"{_SHOWN} WHERE w.id = :id"), {"id": reward_id})).one_or_none()


async def page(
    session: ReadSession, state: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row[Any]]:
    """Rewards, the newest first."""
    at, last = after or (None, None)
    rows = await session.execute(
        text(f"""{_SHOWN} WHERE (CAST(:state AS text) IS NULL OR w.state = :state)
                AND (CAST(:at AS timestamptz) IS NULL OR (w.created_at, w.id) < (:at, CAST(:id AS uuid)))
                ORDER BY w.created_at DESC, w.id DESC LIMIT :n"""),
        {"state": state, "at": at, "id": last, "n": limit},
    )
    return list(rows)


async def offers(
    session: ReadSession, customer: UUID, now: datetime, zone: str, base: str, after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row[Any]]:  # fmt: skip
    """What customers see, each with why this one cannot have it; `base` is the lowest tier."""
    at, last = after or (None, None)
    bound = {"customer": customer, "now": now, "zone": zone, "base": base, "after": at, "id": last, "n": limit}
    return list(await session.execute(_OFFERS, bound))


async def add_codes(session: WriteSession, reward_id: UUID, codes: Sequence[str]) -> tuple[int, int]:
    """Put codes into a pool; returns how many were new, and how many nobody holds."""
    added = await session.execute(
        text("""INSERT INTO voucher_code (reward_id, code)
                SELECT :reward, code FROM unnest(CAST(:codes AS text[])) WITH ORDINALITY AS c (code, n) ORDER BY n
                ON CONFLICT (reward_id, code) DO NOTHING RETURNING id"""),
        {"reward": reward_id, "codes": list(dict.fromkeys(codes))},
    )
    new = len(added.all())
    left = await session.execute(
        text("SELECT count(*) FROM voucher_code WHERE reward_id = :reward AND redemption_id IS NULL"),
        {"reward": reward_id},
    )
    return new, left.scalar_one()


async def codes(session: ReadSession, reward_id: UUID, after: int, limit: int) -> list[Row[Any]]:
    """The pool of a reward."""
    rows = await session.execute(
        text("""SELECT id, code, redemption_id FROM voucher_code WHERE reward_id = :reward AND id > :after
                ORDER BY id LIMIT :n"""),
        {"reward": reward_id, "after": after, "n": limit},
    )
    return list(rows)
