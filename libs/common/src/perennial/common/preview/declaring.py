"""How a service says what it shows, and what its derivation writes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from perennial.common.auth import Principal
from perennial.common.db import ReadSession

OF_CUSTOMERS = "customer_id = ANY($1::uuid[])"
OF_VIAS = "via = ANY($2::uuid[])"
NOTHING = ""

Show = Callable[[ReadSession, Principal, Sequence[UUID]], Awaitable[Mapping[UUID, Any]]]


@dataclass(frozen=True)
class Preview:
    """How a service previews: what it shows of customers to whom holds `scope`, masked for them.

    `writes` names every table that `map_changed` and the derivation write, besides those of common, and which of its
    rows they may look at: SQL over the customers ($1) and their identifiers ($2).
    """

    show: Show
    scope: str
    writes: Mapping[str, str] = field(default_factory=dict)
