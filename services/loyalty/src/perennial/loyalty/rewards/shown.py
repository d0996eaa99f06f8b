"""Rows of the catalogue as they are shown."""

from typing import Any

from sqlalchemy import Row

from perennial.loyalty.rewards.schemas import OfferOut, RewardOut


def terms(row: Row[Any]) -> dict[str, Any]:
    """The price and the credit of a reward or of a redemption, as they are shown."""
    return {
        "points": row.points,
        "currency": row.currency,
        "money": {"amount": row.amount, "currency": row.money} if row.money else None,
        "credit": {"currency": row.credit_currency, "points": row.credit_points} if row.credit_currency else None,
    }


def reward(row: Row[Any]) -> RewardOut:
    """A reward as staff see it."""
    return RewardOut.model_validate({**row._mapping, **terms(row)})  # noqa: SLF001


def offer(row: Row[Any], balance: int) -> OfferOut:
    """A reward as a customer sees it who has so much of its currency."""
    stock = None if row.stock is None else row.stock - row.taken
    left = [number for number in (stock, row.codes_left) if number is not None]
    missing = max(0, row.points - balance) if row.points else 0
    said = {"left": min(left, default=None), "available": not row.why_not, "missing_points": missing}
    return OfferOut.model_validate({**row._mapping, **terms(row), **said})  # noqa: SLF001
