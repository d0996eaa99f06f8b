"""What rules have in common is found out once: for a view with a memo, and the moment at which it was first asked."""

from collections.abc import Callable, Hashable
from datetime import datetime
from itertools import count
from typing import Any

from perennial.common.rules.view import View

Ask = Callable[[View, datetime], Any]
MOST_SHARED = 20_000
_MOMENT = 0  # where a memo keeps the moment; the numbers of what was asked follow
_SHARED: dict[Hashable, Ask] = {}
_numbers = count(1)


def shared(key: Hashable, make: Callable[[], Ask]) -> Ask:
    """The same for all who ask by the same key."""
    known = _SHARED.get(key)
    if known is None:
        if len(_SHARED) >= MOST_SHARED:
            _SHARED.clear()
        known = _SHARED[key] = make()
    return known


def remembered(ask: Ask) -> Ask:
    """Asks once; the answer is never None."""
    number = next(_numbers)

    def answer(view: View, now: datetime) -> Any:
        memo = view.memo
        if memo is None:
            return ask(view, now)
        if memo.get(_MOMENT) is not now:
            if memo:
                return ask(view, now)
            memo[_MOMENT] = now
        known = memo.get(number)
        if known is None:
            known = memo[number] = ask(view, now)
        return known

    return answer
