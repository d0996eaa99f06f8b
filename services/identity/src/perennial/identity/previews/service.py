"""Run a verb on copies and say what it would have changed."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import Database, ReadSession, WriteSession
from perennial.common.preview import NOTHING, OF_VIAS
from perennial.common.preview.looking import Assigned, aside, shadow
from perennial.identity import queries
from perennial.identity.models import metadata

Verb = Callable[[WriteSession], Awaitable[Any]]
Concerned = Callable[[ReadSession], Awaitable[Iterable[UUID]]]

# Every table that a merge, a split or its undo writes, with the rows that it may read.
WRITES = {
    "identity_map": "customer_id = ANY($1::uuid[])",
    "map_change": OF_VIAS,
    "merge": "merged_vias && $2::uuid[] OR undone_vias && $2::uuid[]",
    "split": "identifiers && $2::uuid[] OR remaining && $2::uuid[]",
    "separation": "low = ANY($2::uuid[]) OR high = ANY($2::uuid[])",
    "outbox": NOTHING,
    "audit": NOTHING,
}
_MAP = text("SELECT via, customer_id, version FROM identity_map ORDER BY via")


class Ahead(NamedTuple):
    """The identifiers that would change their customer, and the identifiers of each customer then."""

    assignments: list[Assigned]
    customers: dict[UUID, list[UUID]]


async def preview(database: Database, concerned: Concerned, verb: Verb) -> Ahead:
    """What the verb would change of the customers of these identifiers. Raises what the verb raises."""
    async with aside(database) as session:
        customers = set((await queries.resolve(session, await concerned(session))).values())
        vias = [member.via for member in await queries.members(session, customers)]
        await shadow(session, metadata, WRITES, customers, vias)
        before = await _map(session)
        await verb(session)
        return _changed(before, await _map(session))


def named(*ids: UUID) -> Concerned:
    """Identifiers or customers by their ids."""

    async def found(_: ReadSession) -> Collection[UUID]:
        return ids

    return found


async def _map(session: ReadSession) -> Sequence[Assigned]:
    """The copy of the map: it holds the customers in question and no others."""
    return [Assigned(via=row[0], customer_id=row[1], version=row[2]) for row in await session.execute(_MAP)]


def _changed(before: Sequence[Assigned], after: Sequence[Assigned]) -> Ahead:
    versions = {item.via: item.version for item in before}
    customers: dict[UUID, list[UUID]] = {}
    for item in after:
        customers.setdefault(item.customer_id, []).append(item.via)
    return Ahead([item for item in after if item.version != versions.get(item.via)], customers)
