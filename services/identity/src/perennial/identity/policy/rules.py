"""The policy as decisions use it: for each kind of identifier its rank, how many, and what can identify nobody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import re2  # type: ignore[import-untyped]

from perennial.common.identifiers import KINDS

WINDOWS = {"ever": None, "year": timedelta(days=365), "month": timedelta(days=30), "week": timedelta(days=7)}
SHARED_AFTER = 3
USER_ID = "user_id"


@dataclass(frozen=True)
class Rule:
    """One kind. A smaller `rank` is stronger evidence; a customer holds at most `limit` of those within the `window`.

    A kind that is not `unique` (a household's phone) joins nobody. An identifier that has met `shared_after` different
    user ids is shared from then on: it joins nobody either. Values that match `blocked` identify nobody.
    """

    rank: int
    limit: int
    window: timedelta | None = None
    unique: bool = True
    shared_after: int | None = SHARED_AFTER
    values: frozenset[str] = frozenset()
    patterns: Sequence[Any] = field(default=(), compare=False)

    def blocks(self, value: str) -> bool:
        """Whether a normalised value identifies nobody."""
        return value.lower() in self.values or any(pattern.fullmatch(value) for pattern in self.patterns)


@dataclass(frozen=True)
class Policy:
    """A version of the rules of all kinds. `approve_from`: a merge in which as many identifiers move needs a person."""

    version: int
    rules: Mapping[str, Rule]
    approve_from: int | None = None


def compiled(patterns: Iterable[str]) -> list[Any]:
    """Patterns that take linear time whatever they are held against. Raises ValueError for one that is none."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    found = []
    for pattern in patterns:
        try:
            found.append(re2.compile(pattern, options=options))
        except re2.error as error:
            said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
            raise ValueError(f"{pattern!r} is not a pattern: {said}") from error
    return found


DEFAULT = Policy(
    0,
    {
        name: Rule(kind.rank, kind.limit, shared_after=None if name == USER_ID else SHARED_AFTER)
        for name, kind in KINDS.items()
    },
)


def read(version: int, definition: Mapping[str, Any]) -> Policy:
    """A policy from its stored definition: kinds in the order of their strength."""
    rules = {}
    for rank, kind in enumerate(definition["kinds"]):
        rules[kind["kind"]] = Rule(
            rank=rank,
            limit=kind["limit"],
            window=WINDOWS[kind["window"]],
            unique=kind["unique"],
            shared_after=kind["shared_after"],
            values=frozenset(value.lower() for value in kind["blocked_values"]),
            patterns=compiled(kind["blocked_patterns"]),
        )
    return Policy(version, rules, definition["approve_from"])
