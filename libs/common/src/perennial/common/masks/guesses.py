"""What a comparison would tell of texts in which addresses and phones are masked.

No allowed comparison tells two texts apart that are shown alike. To a principal who sees both phones and e-mail
addresses everything is allowed; to others:

- `contains`, `not_contains`, `ends_with`, `matches` and `regex` with a text are refused: asked again and again they
  spell out what is behind the stars. A member of a list is asked for as `tags[]` `is`. `starts_with` is allowed up to a
  slash (`/products/`), which ends every address and phone before it.
- `is`, `is_not`, `in` and `not_in` are allowed, since who names a value knows it; not with a value that would itself be
  shown masked, as a thousand of them are a list of guesses, nor with the stars.
- Numbers are compared, but not with one of more than ten digits or three decimals, as a phone in digits would be.
- Times and `exists` are always allowed: a text that is a time holds no phone.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from perennial.common.auth import Principal
from perennial.common.masks.fields import sees
from perennial.common.masks.values import HIDDEN

LONGEST_NUMBER, MOST_DECIMALS = 10, 3

_INSIDE = frozenset({"ends_with", "matches", "regex"})
_MEMBER = frozenset({"contains", "not_contains"})
_EXACT = frozenset({"is", "is_not", "in", "not_in"})
_ORDER = frozenset({"eq", "gt", "gte", "lt", "lte", "between"})


def tells(principal: Principal, operator: str, operand: Any, shown: Callable[[str], Any]) -> bool:
    """Whether comparing a value that the principal is shown, masked by `shown`, tells more than that."""
    if sees(principal, "email") and sees(principal, "phone"):
        return False
    if operator in _INSIDE or (operator in _MEMBER and isinstance(operand, str)):
        return True
    if operator == "starts_with":
        return not str(operand).endswith("/") or _masked(operand, shown)
    if operator in _ORDER:
        return any(_long(limit) for limit in _limits(operand))
    if operator in _EXACT | _MEMBER:
        return any(_masked(item, shown) for item in (operand if isinstance(operand, list | tuple) else (operand,)))
    return False


def _masked(operand: Any, shown: Callable[[str], Any]) -> bool:
    if isinstance(operand, str):
        return HIDDEN in operand or shown(operand) != operand
    return not isinstance(operand, bool) and _long(operand)


def _limits(operand: Any) -> list[Any]:
    """What a number is compared with; the two of `between` may be times, which tell nothing."""
    if not isinstance(operand, list | tuple):
        return [operand]
    return [limit for limit in operand if limit == HIDDEN or not isinstance(limit, str | datetime)]


def _long(operand: Any) -> bool:
    if not isinstance(operand, int | float | Decimal):
        return True
    number = Decimal(str(operand))
    return abs(number) >= 10**LONGEST_NUMBER or number != round(number, MOST_DECIMALS)
