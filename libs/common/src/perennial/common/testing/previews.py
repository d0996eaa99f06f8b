"""A preview held against the real thing: it leaves nothing, locks nothing, and says what is shown afterwards."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.db import ReadSession
from perennial.common.derive import derive_once
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.preview.looking import Assigned, Seen, look_ahead
from perennial.common.service import ServiceRuntime

EVERYBODY = Principal("staff", "tester", frozenset("*"), fields=frozenset("*"))
_HELD = text("""
    SELECT l.locktype, l.mode, c.relname FROM pg_locks l
    LEFT JOIN pg_class c ON c.oid = l.relation AND l.locktype = 'relation'
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND coalesce(n.nspname, '') NOT LIKE 'pg\\_%'
      AND coalesce(c.relkind, '') <> 'S' AND l.mode <> 'AccessShareLock'
      AND l.locktype IN ('relation', 'tuple', 'advisory', 'page')""")
_TABLES = text("""
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version' ORDER BY 1""")


class World:
    """A service's worker on a database in which commits are real, and its previews."""

    def __init__(self, runtime: ServiceRuntime, volatile: Callable[[Any], Any] = lambda shown: shown) -> None:
        """`volatile` takes out of what is shown the moment at which it was derived."""
        self.runtime = runtime
        self._volatile = volatile

    async def hear(self, *events: Any) -> None:
        """Handle events and derive what follows."""
        async with self.runtime.database.write() as session:
            await session.execute(text("SELECT 1"))
            await react(self.runtime, session, reactions_of(self.runtime.service), events)
        await self.derive()

    async def assign(self, *assignments: Assigned) -> None:
        """Hear of a change of the map."""
        said = [Assignment(via=item.via, customer=item.customer_id, version=item.version) for item in assignments]
        await self.hear(IdentifiersAssigned(assignments=said))

    async def derive(self) -> None:
        """Recompute whoever is stale."""
        derivation = self.runtime.service.derive
        if derivation is not None:
            async with self.runtime.database.write() as session:
                await session.execute(text("UPDATE stale SET at = now()"))
                while await derive_once(session, derivation):
                    pass

    async def shown(self, customers: Sequence[UUID]) -> dict[UUID, Any]:
        """What is shown now, by the same map for everybody: no preview."""
        asked = self.runtime.service.preview
        assert asked is not None  # noqa: S101 (for tests)
        async with self.runtime.database.read() as session:
            return {
                key: self._volatile(value) for key, value in (await asked.show(session, EVERYBODY, customers)).items()
            }

    async def preview(self, *assignments: Assigned, who: Principal = EVERYBODY) -> Seen:
        """What would be shown; asserts that nothing is locked meanwhile and nothing is left."""
        asked = self.runtime.service.preview
        assert asked is not None  # noqa: S101

        async def spying(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
            found = await asked.show(session, who, customers)
            held = (await session.execute(_HELD)).all()
            assert held == [], held  # noqa: S101
            return found

        service = dataclasses.replace(self.runtime.service, preview=dataclasses.replace(asked, show=spying))
        before = await self.traces()
        seen = await look_ahead(self.runtime.database, service, who, assignments)
        assert await self.traces() == before  # noqa: S101
        return Seen(
            before={key: self._volatile(value) for key, value in seen.before.items()},
            after={key: self._volatile(value) for key, value in seen.after.items()},
        )

    async def agrees(self, *assignments: Assigned) -> Seen:
        """Preview a change, make it, and find what the preview said."""
        seen = await self.preview(*assignments)
        assert await self.shown(list(seen.before)) == seen.before  # noqa: S101
        await self.assign(*assignments)
        assert await self.shown(list(seen.after)) == seen.after  # noqa: S101
        return seen

    async def traces(self) -> dict[str, tuple[int, str]]:
        """Of every table how many rows there are, and a digest of them with the transactions that wrote them."""
        found = {}
        async with self.runtime.database.read() as session:
            for table in (await session.execute(_TABLES)).scalars().all():
                row = "t.xmin || ' ' || t.xmax || ' ' || t.ctid || t::text"
                statement = f"""SELECT count(*), md5(coalesce(string_agg({row}, '' ORDER BY t.tableoid, t.ctid), ''))
                                FROM "{table}" AS t"""  # noqa: S608 (our own tables)
                found[table] = tuple((await session.execute(text(statement))).one())
        return found
