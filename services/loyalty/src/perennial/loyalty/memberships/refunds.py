"""Pro-rata refunds: by whole days of the deployment's zone, rounded half-even to the smallest coin."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
# ISO 4217: how many decimals a currency's smallest coin has, where it is not two.
_NONE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
         "XPF")  # fmt: skip
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
DECIMALS = dict.fromkeys(_NONE, 0) | dict.fromkeys(_THREE, 3)


@dataclass(frozen=True)
class Quote:
    """`amount` goes back for `days` of the `of_days` that were paid for."""

    amount: Decimal
    money: str
    days: int
    of_days: int


def quote(amount: Decimal, money: str, start: datetime, end: datetime, at: datetime, zone: tzinfo) -> Quote:
    """What of an amount that paid for the time from `start` to `end` goes back at an instant.

    A day is one of the calendar of the zone; the day on which it ends counts as used. Time that has not begun goes
    back whole.
    """
    first, last, day = (moment.astimezone(zone).date() for moment in (start, end, at))
    of_days = max(1, (last - first).days)
    left = of_days if at < start else max(0, min(of_days, (last - day).days - 1))
    return Quote(rounded(EXACT.divide(amount * left, Decimal(of_days)), money), money, left, of_days)


def rounded(amount: Decimal, money: str) -> Decimal:
    """Half-even to the smallest coin of the currency."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS.get(money, 2)), ROUND_HALF_EVEN, EXACT)
