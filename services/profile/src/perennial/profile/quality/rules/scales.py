"""How far apart two values of a trait are: each type that has an order is put on a line of numbers, and back again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

from perennial.common.rules.sql import values as sql_values
from perennial.common.rules.values import scalars
from perennial.profile.traits.definitions import kinds
from perennial.profile.traits.definitions.kinds import Definition, Unfit

PLAIN = "plain"  # of a trait without a type that has an order: JSON numbers only
TYPES = ("number", "money", "date", "datetime")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _MILLION, _DAY = timedelta(microseconds=1), Decimal(1_000_000), 86_400
_FIRST, _LAST = (Decimal((datetime(*day, tzinfo=UTC) - _EPOCH).days) for day in ((1800, 1, 1), (2999, 12, 31)))
_NUMBER, _AMOUNT = sql_values.number("value"), "(value -> 'amount')"
SQL: Mapping[str, str] = {
    PLAIN: f"CASE WHEN jsonb_typeof(value) = 'number' THEN {_NUMBER} END",
    "number": _NUMBER,
    "money": f"CASE WHEN upper(value ->> 'currency') = CAST(:unit AS text) THEN {sql_values.number(_AMOUNT)} END",
    "date": f"floor(extract(epoch FROM {sql_values.instant('value')}) / {_DAY})",
    "datetime": f"extract(epoch FROM {sql_values.instant('value')})",
}
"""The number of a jsonb `value`, null where it has none; of money in the currency `:unit`."""


class Scale(NamedTuple):
    """A line of numbers: days or seconds since 1970, amounts in the currency `unit`, or the numbers themselves."""

    kind: str = PLAIN
    unit: str | None = None
    whole: bool = False

    @classmethod
    def of(cls, definition: Definition | None, currency: str | None = None) -> "Scale":
        """Of a trait's type; `currency` is the one to compare amounts in where the type names none."""
        if definition is None or definition.type not in TYPES:
            return cls()
        unit = (definition.currency or currency) if definition.type == "money" else None
        return cls(definition.type, unit, definition.whole or definition.type in {"date", "datetime"})

    def number(self, said: str | None) -> Decimal | None:
        """Where JSON text stands on it; None for what does not."""
        if said is None:
            return None
        try:
            value = kinds.decoded(said)
        except Unfit:
            return None
        return self._number(value)

    def _number(self, value: Any) -> Decimal | None:
        if self.kind == "money":
            mine = isinstance(value, dict) and str(value.get("currency")).upper() == self.unit
            return scalars.number(value.get("amount")) if mine else None
        if self.kind in {"date", "datetime"}:
            at = scalars.instant(value)
            if at is None:
                return None
            since = at - _EPOCH
            return Decimal(since.days) if self.kind == "date" else Decimal(since // _MICROSECOND) / _MILLION
        return None if self.kind == PLAIN and isinstance(value, str) else scalars.number(value)

    def bounds(self, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
        """Limits that are themselves values: nothing that is clipped to them is refused afterwards."""
        if self.kind in {"date", "datetime"}:
            unit = 1 if self.kind == "date" else _DAY
            low, high = max(low, _FIRST * unit), min(high, _LAST * unit)
        step = Decimal("0.01") if self.kind == "money" else Decimal(1) if self.whole else None
        if step is None:
            return low, high
        inner = _rounded(low, step, ROUND_CEILING), _rounded(high, step, ROUND_FLOOR)
        # Where no value lies between them, the next ones outside are usual too: else nothing at all would be.
        return (
            inner if inner[0] <= inner[1] else (_rounded(low, step, ROUND_FLOOR), _rounded(high, step, ROUND_CEILING))
        )

    def json(self, number: Decimal) -> str:
        """The JSON text of a value at this place."""
        if self.kind == "money":
            return kinds.encoded({"amount": scalars.text(number) or "0", "currency": self.unit})
        if self.kind in {"date", "datetime"}:
            return kinds.encoded(self._time(number))
        return scalars.text(number) or "0"

    def shown(self, number: Decimal | None) -> Decimal | str | None:
        """A limit for people: times as times."""
        return self._time(number) if number is not None and self.kind in {"date", "datetime"} else number

    def _time(self, number: Decimal) -> str:
        at = _EPOCH + timedelta(seconds=int(number) * (_DAY if self.kind == "date" else 1))
        return at.date().isoformat() if self.kind == "date" else kinds.written(at)


def _rounded(number: Decimal, step: Decimal, how: str) -> Decimal:
    return (number / step).to_integral_value(how) * step
