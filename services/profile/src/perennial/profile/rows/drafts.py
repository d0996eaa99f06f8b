"""A customer while it is derived: every part adds its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from perennial.common.db import WriteSession
from perennial.profile.rows.concerns import Done


class Seen(NamedTuple):
    """When a customer was first and last there, and how many events there are."""

    first_seen: datetime | None = None
    last_seen: datetime | None = None
    events: int = 0


UNSEEN = Seen()


@dataclass(slots=True)
class Draft:
    """What is known of one customer so far.

    `live`: something live made it stale, so messages may follow. `traits` and `computed` are JSON by trait key,
    `tags` by name; `before` is the row as it was written last, if it was. `about`: of all that the parts look at only
    these events are new, and when the customer was seen; None: anything may be. `due`: when the clock may change what
    a part says, by the kind of its timer; as it stands, until the part says another or takes it out.
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
    seen: Seen = UNSEEN
    due: dict[str, datetime] = field(default_factory=dict)

    def falls_due(self, kind: str, at: datetime | None) -> None:
        """The clock may change what the part of this kind says at this instant, and not before; None: never."""
        if at is None:
            self.due.pop(kind, None)
        else:
            self.due[kind] = at


Part = Callable[[WriteSession, Mapping[UUID, Draft], datetime], Awaitable[None]]
"""Fills its fields of the drafts, set-based, and keeps what it keeps; the customers are locked."""
