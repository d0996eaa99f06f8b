"""The verbs about customers: keep what is said of them."""

from collections.abc import Sequence
from uuid import UUID

from perennial.common.db import WriteSession
from perennial.tickets.customers import queries


async def keep_tiers(session: WriteSession, said: Sequence[tuple[UUID, str, int]]) -> None:
    """Customers' tiers, with their versions."""
    await queries.write_tiers(session, said)


async def keep_memberships(session: WriteSession, said: Sequence[tuple[UUID, UUID, bool, int]]) -> None:
    """Who is in which segment, with versions."""
    await queries.write_memberships(session, said)
