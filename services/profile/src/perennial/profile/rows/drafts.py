"""A customer while it is derived: every part adds its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.common.db import WriteSession
from perennial.profile.rows.concerns import Done


@dataclass(slots=True)
class Draft:
    """What is known of one customer so far.

    `live`: something live made it stale, so messages may follow. `traits` and `computed` are JSON by trait key,
    `tags` by name; `before` is the row as it was written last, if it was. `about`: of all that the parts look at only
    these events are new, and when the customer was seen; None: anything may be.
    """

    id: UUID
    vias: list[UUID]
    live: bool
    before: Mapping[str, Any] | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    computed: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    stage: str | None = None
    about: Done | None = None


Part = Callable[[WriteSession, Mapping[UUID, Draft], datetime], Awaitable[None]]
"""Fills its fields of the drafts, set-based, and keeps what it keeps; the customers are locked."""
