"""The verbs of lists: put people on one, take them off, by customer or by any identifier."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identifiers, identity_map, operations
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.derive import mark
from perennial.common.operations import OperationOut
from perennial.common.problems import Conflict
from perennial.segments.definitions.service import LIST
from perennial.segments.lists import queries

IMPORT = "list_import"
FILE, MEDIA_TYPE = "input.csv", "text/csv"
LIMIT = 1 << 20  # what the gateway passes on

Outcome = Literal["added", "already", "removed", "not_listed", "unknown", "invalid"]


class Found(NamedTuple):
    """Whose identifier somebody named, or why nobody's: `unknown` or `invalid`."""

    via: UUID | None
    customer: UUID | None
    fault: Outcome | None = None


def check_list(row: Row[Any]) -> None:
    """Raises Conflict for a segment by rule."""
    if row.kind != LIST:
        raise Conflict("segment: its members follow from a rule, nobody names them", code="not_a_list")


async def add(session: WriteSession, segment_id: UUID, by: str, named: Sequence[str], *, live: bool) -> list[Outcome]:
    """Put whoever is named on a list; an outcome for each, in order. `live`: journeys and partners may hear of it."""
    found = await look_up(session, named)
    there = await queries.on_list(session, segment_id, _customers(found))
    fresh = {one.via: one.customer for one in found if one.via and one.customer and one.customer not in there}
    await queries.add(session, segment_id, list(fresh), by)
    await mark(session, set(fresh.values()), live=live)
    outcomes: list[Outcome] = []
    for one in found:
        outcomes.append(one.fault or ("already" if one.customer in there else "added"))
        there |= {one.customer} if one.customer else set()
    return outcomes


async def remove(session: WriteSession, segment_id: UUID, named: Sequence[str]) -> list[Outcome]:
    """Take whoever is named off a list, by whichever of their identifiers they are on it; an outcome for each."""
    found = await look_up(session, named)
    there = await queries.on_list(session, segment_id, _customers(found))
    await queries.remove(session, segment_id, there)
    await mark(session, there, live=True)
    outcomes: list[Outcome] = []
    for one in found:
        outcomes.append(one.fault or ("removed" if one.customer in there else "not_listed"))
        there.discard(one.customer)
    return outcomes


def _customers(found: Sequence[Found]) -> set[UUID]:
    return {one.customer for one in found if one.customer is not None}


async def look_up(session: ReadSession, named: Sequence[str]) -> list[Found]:
    """Whom each of these means: a customer's id, old ones included, or `kind:value`."""
    keys = [_key(session, said) for said in named]
    ids = [key for key in keys if isinstance(key, UUID)]
    customers = await identity_map.customers_of(session, ids) if ids else {}
    digests = [key for key in keys if isinstance(key, tuple)]
    resolved = await queries.resolve(session, digests) if digests else {}
    found, place = [], 0
    for key in keys:
        if key is None:
            found.append(Found(None, None, "invalid"))
            continue
        if isinstance(key, UUID):
            hit = (key, customers[key]) if key in customers else None
        else:
            hit, place = resolved.get(place), place + 1
        found.append(Found(*hit) if hit else Found(None, None, "unknown"))
    return found


def _key(session: ReadSession, said: str) -> UUID | tuple[str, bytes] | None:
    try:
        return UUID(said)
    except ValueError:
        pass
    try:
        kind, value = identifiers.split(said)
    except ValueError:
        return None
    settings = settings_of(session)
    normal = identifiers.normalise(kind, value, settings.region)
    key = bytes.fromhex(settings.identifier_key.get_secret_value())
    return (kind, identifiers.blind_index(key, kind, normal)) if normal else None


async def start_import(session: WriteSession, who: Principal, row: Row[Any], *, live: bool) -> OperationOut:
    """An operation that puts everybody in a file on a list; the file is to be saved with it."""
    check_list(row)
    if row.state == "archived":
        raise Conflict("segment: it is archived", code="archived")
    return await operations.start(session, who, IMPORT, {"segment_id": str(row.id), "live": live})
