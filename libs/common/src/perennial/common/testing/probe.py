"""A service that exists only in tests, to show what common promises to every service."""

from typing import ClassVar

from sqlalchemy import Column, Integer, Table, Text, Uuid, text

from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, add_common_tables, new_metadata
from perennial.common.messaging import on
from perennial.common.operations import add_operation_tables
from perennial.common.service import Service

metadata = new_metadata()
add_common_tables(metadata)
add_operation_tables(metadata)
Table("seen", metadata, Column("id", Uuid, primary_key=True), Column("name", Text), Column("times", Integer))


class ThingDone(Event):
    """A fact of the probe's own."""

    subject: ClassVar[str] = "probe.thing.done.v1"

    what: str


async def record(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Count how often each event was handled; an event named Poison cannot be."""
    if any(event.name == "Poison" for event in events):
        raise ValueError("poison")
    await session.execute(
        text("""INSERT INTO seen SELECT unnest(CAST(:ids AS uuid[])), unnest(CAST(:names AS text[])), 1
                ON CONFLICT (id) DO UPDATE SET times = seen.times + 1"""),
        {"ids": [event.id for event in events], "names": [event.name or "" for event in events]},
    )


async def record_things(session: WriteSession, events: list[ThingDone]) -> None:
    """The same for facts."""
    if any(event.what == "Poison" for event in events):
        raise ValueError("poison")
    await session.execute(
        text("""INSERT INTO seen SELECT unnest(CAST(:ids AS uuid[])), unnest(CAST(:names AS text[])), 1
                ON CONFLICT (id) DO UPDATE SET times = seen.times + 1"""),
        {"ids": [event.id for event in events], "names": [event.what for event in events]},
    )


PROBE = Service(
    name="probe",
    title="Probe",
    metadata=metadata,
    reactions=(on(ResolvedEvent, record), on(ThingDone, record_things)),
    emits=(ThingDone,),
    keeps_map=False,
)
