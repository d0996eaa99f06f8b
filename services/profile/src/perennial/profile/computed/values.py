"""From aggregates to the value that is shown. Numbers are exact: nothing is a float before it is written out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import msgspec

from perennial.common.rules.values.scalars import EXACT
from perennial.profile.computed.partials import Partial, union, words
from perennial.profile.computed.spec import Spec

CENT, FINE, SHARE = Decimal("0.01"), Decimal("0.000001"), Decimal("0.0001")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
_MICROSECOND = timedelta(microseconds=1)
_WIDE = Context(prec=80)
_SIGNIFICANT = 15
# When a count of days is derived again although nothing has happened: what people draw lines at.
DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 75, 90, 120, 150, 180, 240, 270, 300, 365, 450, 540, 730, 1095)

Found = Mapping[str, Partial]


@dataclass(frozen=True, slots=True)
class Value:
    """What is shown: JSON; None when there is nothing. `complete` is False where words had to be left out."""

    value: Any
    currency: str | None = None
    by_currency: Mapping[str, Any] | None = None
    complete: bool = True
    changes: datetime | None = None


def evaluate(spec: Spec, found: Found, now: datetime, currency: str) -> Value:
    """The value of a function; `currency` is the deployment's."""
    if spec.money:
        return _money(spec, found, currency)
    return _FUNCTIONS[spec.function](spec, found, now)


def plain(number: Decimal) -> int | float | str:
    """A JSON number that reads back exactly; what is too long for one is a string of digits."""
    short = abs(number) < Decimal(10) ** _SIGNIFICANT
    if short and number == number.to_integral_value():
        return int(number)
    short = short and len(number.normalize(_WIDE).as_tuple().digits) <= _SIGNIFICANT
    return float(number) if short and abs(number) >= SHARE else format(number, "f")


def _money(spec: Spec, found: Found, currency: str) -> Value:
    amounts = {code: _amount(spec.function, partial) for code, partial in found.items() if partial.n}
    if not amounts:
        return Value("0.00" if spec.function == "sum" else None, currency=currency, by_currency={})
    headline = min(amounts, key=lambda code: (code != currency, -found[code].n, code))
    shown = {code: str(amount.quantize(CENT, ROUND_HALF_EVEN, _WIDE)) for code, amount in sorted(amounts.items())}
    return Value(shown[headline], currency=headline, by_currency=shown)


def _amount(function: str, partial: Partial) -> Decimal:
    total, low, high = partial.total or Decimal(0), partial.low or Decimal(0), partial.high or Decimal(0)
    if function == "average":
        return _WIDE.divide(total, Decimal(partial.n))
    return {"sum": total, "min": low, "max": high}[function]


def _numbers(spec: Spec, found: Found, _now: datetime) -> Value:
    partial = found.get("")
    if partial is None or not partial.n:
        return Value(0 if spec.function == "sum" else None)
    number = _amount(spec.function, partial)
    return Value(plain(number.quantize(FINE, ROUND_HALF_EVEN, EXACT) if spec.function == "average" else number))


def _count(_spec: Spec, found: Found, _now: datetime) -> Value:
    return Value(sum(partial.n for partial in found.values()))


def _end(spec: Spec, found: Found, _now: datetime) -> Value:
    partial = found.get("")
    if partial is None or not partial.n:
        return Value(None)
    if spec.property:
        said = partial.first if spec.function == "first" else partial.last
        return Value(msgspec.json.decode(said[1]) if said else None)
    at = partial.first_at if spec.function == "first" else partial.last_at
    return Value(at and spelled(at))


def spelled(at: datetime) -> str:
    """An instant as JSON has it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _days_since(_spec: Spec, found: Found, now: datetime) -> Value:
    last = max((partial.last_at for partial in found.values() if partial.last_at), default=None)
    if last is None:
        return Value(None)
    days = max(0, (now - last) // DAY)
    step = next((step for step in DAYS if step > days), None)
    return Value(days, changes=last + step * DAY if step else None)


def _mean_interval(_spec: Spec, found: Found, _now: datetime) -> Value:
    partial = found.get("")
    if partial is None or partial.n < 2 or partial.first_at is None or partial.last_at is None:
        return Value(None)
    micros = Decimal((partial.last_at - partial.first_at) // _MICROSECOND)
    days = _WIDE.divide(micros, Decimal(DAY // _MICROSECOND) * (partial.n - 1))
    return Value(plain(days.quantize(CENT, ROUND_HALF_EVEN, _WIDE)))


def _most_frequent(spec: Spec, found: Found, _now: datetime) -> Value:
    counted = words(found)
    if not counted.kept:
        return Value(None)
    best = min(_ranked(counted.kept), key=lambda item: item[0])[1]
    certain = counted.complete or counted.kept[best].n >= counted.others
    return Value(int(best) if spec.property in {"$hour", "$weekday"} else best, complete=certain)


def _ranked(kept: Found) -> list[tuple[tuple[int, float, str], str]]:
    """The most frequent first, then what was seen last."""
    return [((-partial.n, -_seconds(partial.last_at), word), word) for word, partial in kept.items()]


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _unique_list(spec: Spec, found: Found, _now: datetime) -> Value:
    counted = words(found)
    recent = sorted(counted.kept, key=lambda word: (-_seconds(counted.kept[word].last_at), word))
    shown = recent[: spec.limit]
    return Value(shown or None, complete=counted.complete and len(shown) == len(recent))


def _unique_count(_spec: Spec, found: Found, _now: datetime) -> Value:
    counted = words(found)
    return Value(counted.distinct, complete=counted.complete)


def _breakdown(spec: Spec, found: Found, _now: datetime) -> Value:
    counted = words(found)
    ranked = [word for _, word in sorted(_ranked(counted.kept))]
    shown = {word: counted.kept[word].n for word in ranked[: spec.limit]}
    return Value(shown or None, complete=counted.complete and len(shown) == len(ranked))


def _share(_spec: Spec, found: Found, _now: datetime) -> Value:
    total = sum(partial.n for partial in found.values())
    if not total:
        return Value(None)
    held = found["1"].n if "1" in found else 0
    return Value(plain(_WIDE.divide(Decimal(held), Decimal(total)).quantize(SHARE, ROUND_HALF_EVEN)))


def _sessions(_spec: Spec, found: Found, _now: datetime) -> Value:
    partial = found.get("")
    return Value(len(union(partial.spans)) if partial else 0)


def _dwell(spec: Spec, found: Found, _now: datetime) -> Value:
    """Minutes between the first and the last event of each session."""
    partial = found.get("")
    spans = union(partial.spans) if partial else []
    gap = spec.pause // _MICROSECOND
    micros = sum(until - since - gap for since, until in spans)
    minutes = _WIDE.divide(Decimal(micros), Decimal(MINUTE // _MICROSECOND))
    return Value(plain(minutes.quantize(CENT, ROUND_HALF_EVEN, _WIDE)))


_FUNCTIONS: dict[str, Callable[[Spec, Found, datetime], Value]] = {
    "count": _count,
    "sum": _numbers,
    "average": _numbers,
    "min": _numbers,
    "max": _numbers,
    "first": _end,
    "last": _end,
    "days_since": _days_since,
    "mean_interval": _mean_interval,
    "most_frequent": _most_frequent,
    "unique_list": _unique_list,
    "unique_count": _unique_count,
    "breakdown": _breakdown,
    "share": _share,
    "sessions": _sessions,
    "dwell": _dwell,
}
