"""The audit trail: only added to, and every change of what was added is seen."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from perennial.common import audit
from perennial.common.audit import chain
from perennial.common.auth import Principal
from perennial.common.db import Database

ANN = Principal("staff", "ann", frozenset())


async def _three(database: Database) -> None:
    for number in range(3):
        async with database.write() as session:
            await audit.record(session, ANN, "thing.done", f"thing/{number}", {"n": number, "说": "好"})


async def _verdict(database: Database, noted: chain.Noted | None = None) -> str | None:
    async with database.read() as session:
        return await chain.verify(session, noted)


async def test_a_trail_is_whole_as_it_was_written(committed: Database) -> None:
    assert await _verdict(committed) is None
    await _three(committed)
    assert await _verdict(committed) is None
    async with committed.read() as session:
        head = await chain.head(session)
    assert head is not None
    assert (head.id, head.entries, len(head.digest)) == (3, 3, 32)


@pytest.mark.parametrize(
    ("tampering", "row"),
    [
        ("UPDATE audit SET detail = '{}' WHERE id = 2", 2),
        ("UPDATE audit SET principal = 'staff:bob' WHERE id = 1", 1),
        ("UPDATE audit SET at = at + interval '1 second' WHERE id = 3", 3),
        ("DELETE FROM audit WHERE id = 2", 3),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("UPDATE audit SET digest = 'x' WHERE id = 3", 3),
    ],
)
async def test_tampering_by_the_owner_is_seen(
    committed: Database, database_urls: Any, tampering: str, row: int
) -> None:
    await _three(committed)
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute(tampering)
    await owner.close()
    assert (await _verdict(committed) or "").startswith(f"row {row} ")


async def test_a_head_noted_elsewhere_shows_that_the_newest_rows_were_cut_off(
    committed: Database, database_urls: Any
) -> None:
    await _three(committed)
    async with committed.read() as session:
        head = await chain.head(session)
    assert head is not None
    noted = chain.Noted.parse(f"{head.id}:{head.digest.hex()}")
    assert await _verdict(committed, noted) is None
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("DELETE FROM audit WHERE id = 3")
    await owner.close()
    assert await _verdict(committed) is None
    assert "cut off" in (await _verdict(committed, noted) or "")
    await _three(committed)
    assert "written anew" in (await _verdict(committed, noted) or "")


async def test_a_caller_cannot_choose_its_place_in_the_chain(committed: Database) -> None:
    async with committed.write() as session:
        await session.execute(
            text("""INSERT INTO audit (id, principal, action, subject, detail, previous, digest)
                    OVERRIDING SYSTEM VALUE
                    VALUES (77, 'a', 'b', 'c', '{}', 'x', 'y'), (5, 'a', 'b', 'd', '{}', 'x', 'y')""")
        )
    assert await _verdict(committed) is None
    async with committed.read() as session:
        assert list((await session.execute(text("SELECT id FROM audit ORDER BY id"))).scalars()) == [1, 2]


async def test_writers_at_the_same_time_stand_in_one_line(committed: Database) -> None:
    await asyncio.gather(*(_three(committed) for _ in range(8)))
    assert await _verdict(committed) is None


async def test_the_trail_is_read_by_filters_and_pages(session: Any, client: httpx.AsyncClient, service: Any) -> None:
    for number in range(3):
        await audit.record(session, ANN, "thing.done", f"thing/{number}")
    path = f"/v1/audit/{service.name}"
    page = (await client.get(path, params={"limit": 2})).json()
    assert [entry["subject"] for entry in page["items"]] == ["thing/2", "thing/1"]
    rest = (await client.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [entry["subject"] for entry in rest["items"]] == ["thing/0"]
    one = (await client.get(path, params={"subject": "thing/1", "principal": "staff:ann"})).json()
    assert [entry["action"] for entry in one["items"]] == ["thing.done"]
    assert (await client.get(path, params={"since": "2999-01-01T00:00:00Z"})).json()["items"] == []
    head = (await client.get(f"{path}/head")).json()
    assert head["entries"] == 3
    assert head["head"].startswith("3:")


async def test_the_trail_needs_its_scope(client: httpx.AsyncClient, token: Any, service: Any) -> None:
    headers = {"Authorization": f"Bearer {token('customers:read')}"}
    assert (await client.get(f"/v1/audit/{service.name}", headers=headers)).status_code == 403


async def test_what_somebody_gives_as_a_reason_tells_of_nobody(committed: Database) -> None:
    """A row stays for ever, also when the person is erased."""
    async with committed.write() as session:
        reason = "ada@example.com has called from 138 0013 8000 about order 4711"
        await audit.record(session, ANN, "thing.done", "thing", {"reason": reason, "subject": "thing"})
    async with committed.read() as session:
        detail = (await session.execute(text("SELECT detail FROM audit"))).scalar_one()
    assert "ada@example.com" not in detail["reason"]
    assert "0013" not in detail["reason"]
    assert detail["reason"].endswith("about order 4711")
