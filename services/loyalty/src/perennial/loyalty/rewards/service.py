"""The verbs of the catalogue: offer, change, fill the pool; and what one customer can have of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import audit, identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.web import Conflict, NotFound, Unprocessable
from perennial.common.web.etags import match
from perennial.loyalty.accounts import queries as accounts
from perennial.loyalty.programme import service as programme
from perennial.loyalty.rewards import queries
from perennial.loyalty.rewards.definition import Credit, Offer

log = structlog.get_logger()


async def get(session: ReadSession, reward_id: UUID) -> Row[Any]:
    """A reward. Raises NotFound."""
    row = await queries.one(session, reward_id)
    if row is None:
        raise _unknown(reward_id)
    return row


async def check_known(session: ReadSession, reward_id: UUID) -> Row[Any]:
    """The terms of a reward. Raises NotFound."""
    row = await queries.terms(session, reward_id)
    if row is None:
        raise _unknown(reward_id)
    return row


async def check_public(session: ReadSession, reward_id: UUID) -> None:
    """Raises Unprocessable for a reward that customers do not see, as for one that there is not."""
    row = await queries.terms(session, reward_id)
    if row is None or row.state == "hidden":
        raise Unprocessable(f"reward_id: there is no reward {reward_id}", code="unknown_reward", pointer="/reward_id")


async def check_points_alone(session: ReadSession, reward_id: UUID) -> None:
    """Raises Unprocessable for a reward that costs money besides."""
    row = await queries.terms(session, reward_id)
    if row is not None and row.money is not None:
        raise Unprocessable("confirm: money is part of the price", code="payment_required", pointer="/confirm")


async def create(session: WriteSession, principal: Principal, reward_id: UUID, body: Offer) -> Row[Any]:
    """Offer something. Raises Unprocessable, Conflict."""
    if not await queries.insert(session, reward_id, await _columns(session, body)):
        raise Conflict("Idempotency-Key: it was used before, more than 7 days ago", code="idempotency_key_reused")
    await audit.record(session, principal, "reward.created", str(reward_id), {"version": 1})
    log.info("reward.created", reward_id=str(reward_id))
    return await get(session, reward_id)


async def replace(
    session: WriteSession, principal: Principal, reward_id: UUID, expected: int | None, body: Offer
) -> Row[Any]:
    """Change an offer; what is reserved keeps its terms. Raises NotFound, PreconditionFailed, Unprocessable."""
    values = await _columns(session, body)
    held = await queries.hold(session, reward_id)
    if held is None:
        raise _unknown(reward_id)
    match(expected, held.version)
    if body.stock is not None and body.stock < held.taken:
        raise Unprocessable(f"stock: {held.taken} are taken already", code="stock_taken", pointer="/stock")
    await queries.update(session, reward_id, values)
    await audit.record(session, principal, "reward.replaced", str(reward_id), {"version": held.version + 1})
    return await get(session, reward_id)


async def add_codes(
    session: WriteSession, principal: Principal, reward_id: UUID, codes: Sequence[str]
) -> tuple[int, int]:
    """Fill a reward's pool; returns how many were new, and how many are left. Raises NotFound, Unprocessable."""
    found = await check_known(session, reward_id)
    if not found.codes:
        raise Unprocessable("codes: this reward takes none", code="no_codes", pointer="/codes")
    added, left = await queries.add_codes(session, reward_id, codes)
    await audit.record(session, principal, "reward.codes_added", str(reward_id), {"added": added})
    return added, left


async def offers(
    session: ReadSession, via: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[Row[Any], int]]:
    """What the customer of an identifier can have, and why not: each with what they have of its currency."""
    rules, customer = await programme.current(session), await identity_map.customer_of(session, via) or via
    zone, base = settings_of(session).timezone, rules.tiers[0].name
    rows = await queries.offers(session, customer, utc_now(), zone, base, after, limit)
    wallets = await accounts.wallets(session, [customer])
    return [(row, wallets.get((customer, row.currency), (0, 0))[0]) for row in rows]


async def _columns(session: ReadSession, body: Offer) -> dict[str, Any]:
    """A body as the table has it. Raises Unprocessable for a currency or tier that the programme has not."""
    rules = await programme.current(session)
    currency = await programme.code_of(session, body.currency, spendable=True)
    if body.credit is not None:
        _check_credit(body.credit, {item.code for item in rules.currencies if item.kind == "credit"})
    named = {*body.tiers, *(limit.tier for limit in body.limits if limit.tier)}
    unknown = sorted(named - {tier.name for tier in rules.tiers})
    if unknown:
        raise Unprocessable(
            f"tiers: the programme has no tier {', '.join(unknown)}", code="unknown_tier", pointer="/tiers"
        )
    plain = body.model_dump(mode="json", include={"kind", "state", "name", "description", "limits", "tiers"})
    names = ("points", "stock", "codes", "starts_at", "ends_at", "hold_minutes", "instant")
    return {
        **plain,
        **{name: getattr(body, name) for name in names},
        "currency": currency,
        "amount": body.money and body.money.amount,
        "money": body.money and body.money.currency,
        "credit_currency": body.credit and body.credit.currency,
        "credit_points": body.credit and body.credit.points,
    }


def _check_credit(credit: Credit, codes: set[str]) -> None:
    if credit.currency not in codes:
        raise Unprocessable(
            f"credit: the programme has no stored credit {credit.currency}", code="unknown_currency",
            pointer="/credit/currency",
        )  # fmt: skip


def _unknown(reward_id: UUID) -> NotFound:
    return NotFound(f"reward_id: there is no reward {reward_id}", pointer="path/reward_id")
