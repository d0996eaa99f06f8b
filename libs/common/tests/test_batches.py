"""What a batch costs less by: columns as array literals, and an inbox that is filled by COPY."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array, arrays
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import MANY, heard_first

TEXTS = [
    "",
    "plain",
    "NULL",
    "null",
    None,
    'a "quoted" one',
    "back\\slash",
    "{a,b}",
    " a , b ",
    "\n\t",
    "\x1f",
    "李伟",
    "😀",
]
OTHERS: dict[str, list[Any]] = {
    "uuid": [UUID(int=0), None, UUID(int=2**128 - 1)],
    "bigint": [-(2**63), None, 2**63 - 1],
    "numeric": [Decimal("12.50"), None, Decimal("-1E+3")],
    "bool": [True, None, False],
    "date": [date(2026, 2, 28), None],
    "timestamptz": [
        datetime(2026, 11, 22, 8, 0, 0, 1, UTC),
        None,
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999_999, UTC),
        datetime(2026, 11, 22, 8, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    ],
}


async def _read(session: WriteSession, kind: str, literal: str) -> list[object]:
    await session.execute(text("SELECT 1"))
    return list(await (await raw(session)).fetchval(f"SELECT $1::text::{kind}[]", literal))


@pytest.mark.parametrize("one", TEXTS, ids=ascii)
async def test_postgres_reads_every_text_as_it_is(session: WriteSession, one: str | None) -> None:
    assert await _read(session, "text", array([one, "next"])) == [one, "next"]


async def test_texts_of_all_sorts_share_a_column(session: WriteSession) -> None:
    assert await _read(session, "text", array(TEXTS)) == TEXTS


@pytest.mark.parametrize("kind", OTHERS)
async def test_postgres_reads_other_values_exactly(session: WriteSession, kind: str) -> None:
    assert await _read(session, kind, array(OTHERS[kind])) == OTHERS[kind]


def test_rows_become_columns() -> None:
    assert arrays([(1, "a"), (2, None)]) == ["{1,2}", '{"a",null}']


async def test_an_inbox_filled_by_copy_tells_what_is_new(session: WriteSession) -> None:
    ids = sorted(uuid7() for _ in range(MANY))
    assert await heard_first(session, ids) is None
    assert await heard_first(session, ids) == set()
    more = sorted(uuid7() for _ in range(MANY - 1))
    assert await heard_first(session, sorted([*more, ids[0]])) == set(more)
    assert (await session.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 2 * MANY - 1
