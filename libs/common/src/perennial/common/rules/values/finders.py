"""Patterns as RE2 has compiled them, kept within a number of bytes however many rules there are."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from perennial.common.rules.values.patterns import portable

MOST_BYTES: Final = 128 << 20
BUDGETS: Final = (128 << 10, 1 << 20, 8 << 20)  # what RE2 may take for one pattern, its states and all: 8 MB by default
STATES_BYTES: Final = 2500  # for each instruction, so that the states of usual texts need not be made again and again

Search = Callable[[str], Any]


class Finders:
    """Compiled patterns, of which those that were not asked for longest go first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._lock = most, Lock()
        self._kept: OrderedDict[str, tuple[Search, int]] = OrderedDict()
        self.taken = 0

    def search(self, pattern: str) -> Search:
        """How RE2 looks for a valid pattern."""
        with self._lock:
            if pattern not in self._kept:
                self._keep(pattern, *_compiled(portable(pattern)))
            self._kept.move_to_end(pattern)
            return self._kept[pattern][0]

    def _keep(self, pattern: str, search: Search, size: int) -> None:
        while self._kept and self.taken + size > self._most:
            _, (_, freed) = self._kept.popitem(last=False)
            self.taken -= freed
        self._kept[pattern] = (search, size)
        self.taken += size


def _compiled(written: str) -> tuple[Search, int]:
    """A search and how many bytes it may take: no more than its program can use."""
    for budget in BUDGETS:
        options = re2.Options()
        options.log_errors, options.dot_nl, options.max_mem = False, True, budget
        try:
            found = re2.compile(written, options=options)
        except re2.error:
            if budget == BUDGETS[-1]:
                raise
            continue
        finally:
            re2.purge()  # it would keep a hundred of its own
        if budget == BUDGETS[-1] or found.programsize * STATES_BYTES <= budget:
            return found.search, budget
    raise AssertionError


_finders = Finders()


def finder(pattern: str) -> Callable[[str], bool]:
    """Whether some part of a text fits a valid pattern, in time linear in the text.

    It holds no more than the pattern's text: what is compiled stays within its bytes.
    """
    _finders.search(pattern)

    def found(text: str) -> bool:
        search = _finders.search(pattern)
        try:
            return search(text) is not None
        except UnicodeEncodeError:  # half of a surrogate pair, which Postgres would not keep
            return search(text.encode(errors="replace").decode()) is not None

    return found
