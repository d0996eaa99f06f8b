"""A small world in which customers walk: events go in, timers fire when the test says so, senders send."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.campaigns import worker
from perennial.campaigns.channels import sender
from perennial.campaigns.channels.outgoing import Provider
from perennial.campaigns.channels.sandbox import Sandbox
from perennial.campaigns.enrolments.clock import step_due
from perennial.campaigns.journeys import service as journeys
from perennial.common import derive
from perennial.common.contracts import catalogue
from perennial.common.identity_map import MapChange, customer_of
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.said import said
from perennial.common.timers import Timer

Json = dict[str, Any]

_DUE = text("DELETE FROM timer WHERE due_at <= clock_timestamp() RETURNING kind, key, due_at, payload, partition")

_ASSIGN = text("""
    INSERT INTO identity_map (via, customer_id, version) VALUES (:via, :customer, :version)
    ON CONFLICT (via) DO UPDATE SET customer_id = excluded.customer_id, version = excluded.version""")


def _said(subject: str, **fields: Any) -> Any:
    """A fact as another service would say it."""
    return catalogue()[subject].model_validate(fields)


def message(identifier: str = "hello", **more: Any) -> Json:
    """A message step."""
    step = {"id": identifier, "kind": "message", "channel": "sandbox", "subject": "Hello", "body": "How are you?"}
    return step | more


def wait(duration: str, identifier: str = "pause") -> Json:
    """A wait step."""
    return {"id": identifier, "kind": "wait", "for": duration}


def definition(*steps: Json, **more: Any) -> Json:
    """A journey that begins with Product Added and ends with Order Completed."""
    return {
        "trigger": {"event": "Product Added"},
        "steps": list(steps),
        "exit_on": [{"event": "Order Completed"}],
        **more,
    }


class World:
    """One schema of campaigns and nobody else: what others would say is said by the test."""

    def __init__(self, runtime: ServiceRuntime) -> None:
        self.runtime = runtime
        self.database = runtime.database
        self._versions = 1

    async def journey(self, wanted: Mapping[str, Any], name: str = "test") -> UUID:
        """A published journey."""
        async with self.database.write() as session:
            made = await journeys.draft(session, name, dict(wanted))
            await journeys.publish(session, made.id, "test")
            return made.id

    async def customer(self, of: UUID | None = None, **traits: Any) -> UUID:
        """A customer with an e-mail address unless told otherwise, or one more identifier `of` a customer."""
        via = uuid7()
        await self.assign(via, of or via)
        traits = {"email": f"{via.hex[-8:]}@shop.example", **traits} if of is None else traits
        if traits:
            await self.identify(via, traits)
        return via

    async def assign(self, via: UUID, customer: UUID, *, derived: bool = True) -> None:
        """The map says so from now on; what follows from it is derived, at once unless told otherwise."""
        self._versions += 1
        values = {"via": via, "customer": customer, "version": self._versions}
        async with self.database.write() as session:
            before = await customer_of(session, via)
            await session.execute(_ASSIGN, values)
            await derive.mark_changes(session, [MapChange(via, before, customer)])
            while derived and await derive.derive_once(session, worker.DERIVATION):
                pass

    async def identify(self, via: UUID, traits: Json, *, live: bool = True, at: datetime | None = None) -> None:
        """An identify event."""
        async with self.database.write() as session:
            await worker.learn_traits(session, [identified(traits, via=via, live=live, at=at)])

    async def track(self, name: str, via: UUID, properties: Json | None = None, **more: Any) -> None:
        """A track event, live unless told otherwise."""
        async with self.database.write() as session:
            await worker.hear_events(session, [tracked(name, properties, via=via, **more)])

    async def member(self, customer: UUID, segment: UUID, *, entered: bool = True, version: int = 1) -> None:
        """Segments says that a customer became a member, live if `entered`."""
        fact = {"segment_id": segment, "segment_name": "s", "customer": customer, "version": version}
        state = fact | {"member": True, "since": datetime.now(UTC)}
        async with self.database.write() as session:
            await worker.copy_memberships(session, [_said("segments.memberships.changed.v1", memberships=[state])])
            if entered:
                await worker.join_segments(session, [_said("segments.membership.entered.v1", **fact)])

    async def tick(self, *, send: bool = True, provider: Provider | None = None) -> None:
        """Fire what is due as if the pipeline had passed, and send what is approved, until nothing moves."""
        moved = 1
        while moved:
            moved = await self._fire()
            if send:
                moved += await sender.deliver(self.runtime, provider or Sandbox())

    async def _fire(self) -> int:
        async with self.database.write() as session:
            rows = (await session.execute(_DUE)).all()
            rows = sorted(rows, key=lambda row: row.due_at)
            if rows:
                await step_due(session, [Timer(*row) for row in rows])
            return len(rows)

    async def pass_time(self, span: timedelta) -> None:
        """Everything that is planned, and all that has happened, lies this much earlier."""
        moved = {
            "timer": ("due_at",),
            "enrolment": ("due_at", "since", "entered_at", "ended_at"),
            "message": ("approved_at", "leased_until", "settled_at", "created_at"),
            "event": ("at",),
            "trait": ("at",),
        }
        async with self.database.write() as session:
            for table, columns in moved.items():
                changes = ", ".join(f"{column} = {column} - CAST(:span AS interval)" for column in columns)
                await session.execute(text(f"UPDATE {table} SET {changes}"), {"span": span})  # noqa: S608 (ours)

    async def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """What a query finds."""
        async with self.database.read() as session:
            return (await session.execute(text(statement), values)).all()

    async def messages(self) -> list[tuple[str, str | None]]:
        """Status and reason of every message, oldest first."""
        return [(row[0], row[1]) for row in await self.rows("SELECT status, reason FROM message ORDER BY id")]

    async def enrolments(self) -> list[tuple[str, str, str | None]]:
        """Step, state and reason of every enrolment, oldest first."""
        found = await self.rows("SELECT step, state, reason FROM enrolment ORDER BY id")
        return [(row[0], row[1], row[2]) for row in found]

    async def said(self, subject: str) -> int:
        """How many facts of that subject wait in the outbox."""
        async with self.database.read() as session:
            return len(await said(session, subject))
