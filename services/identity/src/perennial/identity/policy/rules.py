"""The policy as decisions use it: for each kind of identifier its rank, how many, and what can identify nobody.

A namespace of external ids and a WeChat app may have a rule of their own, called `external_id:crm` or
`wechat_openid:wx123`. Its identifiers are ranked, counted and shared by it alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import re2  # type: ignore[import-untyped]

from perennial.common.identifiers import KINDS

WINDOWS = {"ever": None, "year": timedelta(days=365), "month": timedelta(days=30), "week": timedelta(days=7)}
SHARED_AFTER = 3
USER_ID = "user_id"
SCOPED = ("external_id", "wechat_openid")  # kinds whose values may begin with a namespace or an app, and a colon


@dataclass(frozen=True)
class Rule:
    """One kind, namespace or app. A smaller `rank` is stronger evidence.

    A customer holds at most `limit` of those within the `window`.

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
        """Whether a normalised value identifies nobody; under a namespace's or an app's rule, the value without it."""
        return value.lower() in self.values or any(pattern.fullmatch(value) for pattern in self.patterns)


@dataclass(frozen=True)
class Policy:
    """A version of the rules, by name. `approve_from`: a merge in which as many identifiers move needs a person."""

    version: int
    rules: Mapping[str, Rule]
    approve_from: int | None = None

    @cached_property
    def scoped(self) -> frozenset[str]:
        """The kinds of which a namespace or an app has a rule of its own."""
        return frozenset(kind for kind, _, scope in (name.partition(":") for name in self.rules) if scope)

    def named(self, kind: str, value: str) -> str:
        """The name of the rule that a normalised value is under."""
        scope, colon, _ = value.partition(":")
        name = f"{kind}:{scope}"
        return name if colon and kind in self.scoped and name in self.rules else kind


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
