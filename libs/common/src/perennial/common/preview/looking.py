"""What a service would show after a change of the map: the real reactions, on temporary copies of what they write.

The copies bear the names of the tables and hide them from one connection. Nothing real is written and no lock of it is
taken, so a preview holds up nobody, however long it takes; then it is rolled back and the connection closed.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import MetaData, Table, text

from perennial.common import identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.identity import Assignment
from perennial.common.db import Database, ReadSession, WriteSession, raw
from perennial.common.derive import Stale
from perennial.common.preview import NOTHING, OF_CUSTOMERS, OF_VIAS
from perennial.common.problems import Unavailable
from perennial.common.service import Service

MOST = 5000
SECONDS = 4.0

_SIDES = text("""
    SELECT DISTINCT customer_id FROM identity_map
    WHERE via = ANY(CAST(:vias AS uuid[])) OR customer_id = ANY(CAST(:vias AS uuid[]))""")
_VIAS = text("SELECT via FROM identity_map WHERE customer_id = ANY(CAST(:customers AS uuid[]))")
_COMMON = {"identity_map": f"{OF_CUSTOMERS} OR {OF_VIAS}", "stale": NOTHING, "timer": NOTHING, "outbox": NOTHING}


class Assigned(BaseModel):
    """An identifier's customer, with the version that this has in the map."""

    model_config = ConfigDict(extra="forbid")

    via: UUID
    customer_id: UUID
    version: int = Field(ge=0, lt=2**63)


class Seen(BaseModel):
    """What is shown of the customers in question now, and what would be."""

    before: dict[UUID, Any]
    after: dict[UUID, Any]


async def look_ahead(database: Database, service: Service, who: Principal, assignments: Sequence[Assigned]) -> Seen:
    """Let the service follow a change of the map aside, and look before and after."""
    asked = service.preview
    assert asked is not None  # noqa: S101 (nobody else has the route)
    named = {item.via for item in assignments} | {item.customer_id for item in assignments}
    async with aside(database) as session:
        before = await _sides(session, named)
        customers = {*before, *(item.customer_id for item in assignments)}
        vias = {*named, *(await session.execute(_VIAS, {"customers": list(customers)})).scalars()}
        await shadow(session, service.metadata, {**_COMMON, **asked.writes}, customers, vias)
        shown = await asked.show(session, who, before)
        await _follow(session, service, assignments, customers)
        return Seen(before=dict(shown), after=dict(await asked.show(session, who, await _sides(session, vias))))


@asynccontextmanager
async def aside(database: Database) -> AsyncIterator[WriteSession]:
    """A session of which nothing remains; what is logged meanwhile says that it is a preview.

    Raises Unavailable when there are others already, TimeoutError when it takes too long.
    """
    if database.asides.locked():
        raise Unavailable("other previews are being made, try again", code="busy", retry_after=1)
    with structlog.contextvars.bound_contextvars(preview=True):
        async with asyncio.timeout(SECONDS), database.aside() as session:
            yield session


async def shadow(
    session: WriteSession, metadata: MetaData, tables: Mapping[str, str], customers: Collection[UUID],
    vias: Collection[UUID],
) -> None:  # fmt: skip
    """Hide tables behind temporary copies of some of their rows until the transaction ends."""
    await session.execute(text("SET LOCAL lock_timeout = '1s'"))
    await session.execute(text("SET LOCAL statement_timeout = '3s'"))
    schema = (await session.execute(text("SELECT quote_ident(current_schema())"))).scalar_one()
    connection = await raw(session)
    await connection.execute(";".join(_copy(schema, metadata.tables[name]) for name in tables))
    for name, rows in tables.items():
        if rows:
            await connection.execute(_fill(schema, metadata.tables[name], rows), list(customers), list(vias))
    await connection.execute(";".join(f'ANALYZE pg_temp."{name}"' for name in tables))


def _copy(schema: str, table: Table) -> str:
    kept = "INCLUDING ALL EXCLUDING COMMENTS EXCLUDING STATISTICS"
    made = f'CREATE TEMPORARY TABLE "{table.name}" (LIKE {schema}."{table.name}" {kept}) ON COMMIT DROP'
    if table.name == "audit":  # a copy has no triggers: what they fill in may be missing
        made += '; ALTER TABLE pg_temp."audit" ALTER previous DROP NOT NULL, ALTER digest DROP NOT NULL'
    return made


def _fill(schema: str, table: Table, rows: str) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.computed is None)
    return f"""INSERT INTO pg_temp."{table.name}" ({columns}) OVERRIDING SYSTEM VALUE
               SELECT {columns} FROM {schema}."{table.name}"
               WHERE ({rows}) AND $1::uuid[] IS NOT NULL AND $2::uuid[] IS NOT NULL"""  # noqa: S608 (ours)


async def _follow(
    session: WriteSession, service: Service, assignments: Sequence[Assigned], customers: Collection[UUID]
) -> None:
    """What the worker does when it hears of a change: take it over, react, derive afresh."""
    said = [Assignment(via=item.via, customer=item.customer_id, version=item.version) for item in assignments]
    changes = await identity_map.apply(session, said)
    if changes and service.map_changed is not None:
        await service.map_changed(session, changes)
    if service.derive is not None:
        present = await identity_map.customers_of(session, customers)
        current = {customer: False for customer in customers if present.get(customer) == customer}
        gone = [customer for customer in customers if present.get(customer, customer) != customer]
        await service.derive.handle(session, Stale(current, gone))


async def _sides(session: ReadSession, vias: Collection[UUID]) -> list[UUID]:
    return sorted((await session.execute(_SIDES, {"vias": list(vias)})).scalars())
