"""What a batch costs less by: columns as array literals, COPY of rows encoded here, bodies that are read once."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array, arrays
from perennial.common.db.copying import NULL, copy, instant, word
from perennial.common.ids import uuid7
from perennial.common.messaging import on
from perennial.common.messaging.batch import MANY, _heard, heard_first
from perennial.common.orders import _speaks, of_orders, properties
from perennial.common.testing.events import identified, tracked

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
        datetime(1936, 11, 22, 8, tzinfo=timezone(timedelta(minutes=19, seconds=32))),
        datetime(1915, 11, 22, 8, tzinfo=timezone(-timedelta(minutes=25, seconds=21))),
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


async def test_an_instant_may_be_one_that_postgres_has_a_name_for(session: WriteSession) -> None:
    at = datetime(1936, 11, 22, 8, tzinfo=timezone(timedelta(minutes=19, seconds=32)))
    for names in (["-infinity", at], [at, "-infinity"]):
        assert at in await _read(session, "timestamptz", array(names))


def test_rows_become_columns() -> None:
    assert arrays([(1, "a"), (2, None)]) == ["{1,2}", '{"a",null}']


async def test_an_inbox_filled_by_copy_tells_what_is_new(session: WriteSession) -> None:
    ids = sorted(uuid7() for _ in range(MANY))
    assert await heard_first(session, ids) is None
    assert await heard_first(session, ids) == set()
    more = sorted(uuid7() for _ in range(MANY - 1))
    assert await heard_first(session, sorted([*more, ids[0]])) == set(more)
    assert (await session.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 2 * MANY - 1


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1_200])
async def test_copied_rows_are_read_as_they_were_meant(session: WriteSession, count: int) -> None:
    await session.execute(text("CREATE TEMPORARY TABLE copied (n int, said text, at timestamptz) ON COMMIT DROP"))
    instants = [at for at in OTHERS["timestamptz"] if at is not None]
    meant = [
        (n, TEXTS[n % len(TEXTS)], None if n % 7 == 0 else instants[n % len(instants)] + timedelta(microseconds=n % 3))
        for n in range(count)
    ]
    rows = [
        (
            b"\0\3\0\0\0\4" + n.to_bytes(4),
            word(said),
            NULL if at is None else b"\0\0\0\x08" + instant(at).to_bytes(8, signed=True),
        )
        for n, said, at in meant
    ]
    await copy(session, "copied", ("n", "said", "at"), rows)
    assert [tuple(row) for row in await session.execute(text("SELECT n, said, at FROM copied ORDER BY n"))] == meant


async def test_copied_rows_that_fail_leave_none_of_them(session: WriteSession) -> None:
    await session.execute(text("CREATE TEMPORARY TABLE copied (said text) ON COMMIT DROP"))
    with pytest.raises(UnicodeEncodeError):
        await copy(session, "copied", ("said",), ((b"\0\1", word(said)) for said in (*["fine"] * 700, "\ud800")))
    await session.rollback()


async def _nothing(_: WriteSession, __: list[ResolvedEvent]) -> None:
    """A reaction that does nothing."""


def test_a_reaction_to_types_hears_what_it_wants() -> None:
    events = [tracked("Product Viewed", {}), identified({"plan": "pro"}), tracked("Signed Up", {}, live=False)]
    kinds = {ResolvedEvent}
    for reaction in (
        on(ResolvedEvent, _nothing),
        on(ResolvedEvent, _nothing, types=["track"]),
        on(ResolvedEvent, _nothing, types=["track"], live=True),
        on(ResolvedEvent, _nothing, types=["identify"], names=["Signed Up"]),
        on(ResolvedEvent, _nothing, types=[]),
    ):
        wanted = [event for event in events if reaction.wanted is None or reaction.wanted(event)]
        assert _heard(reaction, events, kinds) == wanted


def test_a_body_is_read_once_and_never_taken_for_another() -> None:
    info: dict[Any, Any] = {}
    first = properties(tracked("Order Completed", {"order_id": "0"}), info)
    others = [properties(tracked("Order Completed", {"order_id": str(n)}), info) for n in range(1, 200)]
    assert [said["order_id"] for said in (first, *others)] == [str(n) for n in range(200)]
    event = tracked("Order Completed", {"order_id": "1"})
    assert properties(event, info) is properties(event, info)


def test_names_that_clients_make_up_fill_no_memory() -> None:
    known = _speaks.cache_info().currsize
    made_up = [tracked("Order Completed" + " " * 200 + str(n)) for n in range(5)]
    assert of_orders([*made_up, tracked("order completed" + " " * 300, {})], {})[0][1] == "Order Completed"
    assert _speaks.cache_info().currsize == known
