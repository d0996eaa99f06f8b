"""Many who enter at once: those who are members already, and segments that are archived meanwhile."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.segments.memberships import moving
from perennial.segments.memberships.queries import changes_of

Pairs = list[tuple[UUID, UUID]]
SEGMENT = text("INSERT INTO segment (id, name, state, version) VALUES (:id, :name, :state, 1)")


async def known(session: WriteSession, table: str) -> list[tuple[UUID, UUID]]:
    found = await session.execute(text(f"SELECT segment_id, customer_id FROM {table}"))
    return sorted((row[0], row[1]) for row in found)


async def segments(session: WriteSession, *states: str) -> list[UUID]:
    made = [uuid7() for _ in states]
    for segment, state in zip(made, states, strict=True):
        await session.execute(SEGMENT, {"id": segment, "name": str(segment), "state": state})
    return made


async def themselves(moved: moving.Moved) -> moving.Moved:
    return moved


@pytest.mark.parametrize("count", [3, moving.MANY])
async def test_nobody_enters_twice_nor_what_is_archived(runtime: ServiceRuntime, count: int) -> None:
    now, people = datetime.now(UTC), [uuid7() for _ in range(count)]
    async with runtime.database.write() as session:
        serving, archived = await segments(session, "live", "archived")
        first: Pairs = [(serving, customer) for customer in people]
        entered = await moving.enter(session, first + [(archived, customer) for customer in people], now, themselves)
        assert sorted((segment, customer) for segment, customer, _ in entered) == sorted(first)
        later: Pairs = [(serving, uuid7()) for _ in range(count)]
        again = await moving.enter(session, first[:1] + later, now, themselves)
        assert sorted((segment, customer) for segment, customer, _ in again) == sorted(later)
        assert min(version for *_, version in again) > max(version for *_, version in entered)
        assert await known(session, "membership") == await known(session, "membership_change") == sorted(first + later)


async def test_changes_of_a_customer_are_those_of_all_segments(runtime: ServiceRuntime) -> None:
    now, (customer, other) = datetime.now(UTC), [uuid7() for _ in range(2)]
    async with runtime.database.write() as session:
        await session.execute(
            text("INSERT INTO identity_map (via, customer_id, version) VALUES (:via, :of, 1), (:of, :of, 1)"),
            {"via": other, "of": customer},
        )
        made = await segments(session, "live", "live", "archived")
        await moving.enter(session, [(made[0], customer), (made[1], other), (made[1], uuid7())], now, themselves)
        await moving.leave(session, [(made[0], customer)], now)
        rows = await changes_of(session, customer, None, 10)
        told = [(row.segment_id, row.customer_id, row.entered) for row in rows]
        assert told[0] == (made[0], customer, False)
        assert set(told[1:]) == {(made[0], customer, True), (made[1], other, True)}
        assert [row.id for row in await changes_of(session, customer, rows[0].id, 1)] == [rows[1].id]
