"""Many orders by COPY are what they would be inserted, and facts encoded here what their contracts would say."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.loyalty import AccountsChanged, PointsEarned
from perennial.common.db import WriteSession
from perennial.common.events import Encoder
from perennial.common.ids import uuid7
from perennial.common.packs import Said
from perennial.loyalty.orders import queries as orders
from perennial.loyalty.orders.facts import Purchase, Stated
from perennial.loyalty.points import telling, writing
from perennial.loyalty.points.posting import Lot, Posting, give_back, issue

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
zones = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])
moments = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=zones)  # noqa: DTZ001
whole = st.integers(1, 2**53)
points = st.dictionaries(st.sampled_from(["points", "growth", "credit"]), whole, max_size=3)
cents = st.integers(-(10**14) + 1, 10**14 - 1).map(lambda number: Decimal(number).scaleb(-2)) | st.just(Decimal(0))
told = st.none() | st.dictionaries(words, words | st.integers() | st.lists(words), max_size=3)
stated = st.none() | st.builds(Stated, moments, st.builds(uuid7), cents, points, told)
purchases = st.builds(
    Purchase, st.builds(uuid7), words, words, st.none() | st.builds(uuid7), stated, stated,
    earned=points, delivered_at=st.none() | moments, released_at=st.none() | moments,
)  # fmt: skip
lots = st.builds(
    Lot, st.builds(uuid7), st.builds(uuid7), whole, moments, moments, st.none() | moments, st.none() | st.builds(uuid7),
    state=st.sampled_from(["pending", "active"]), qualifies=st.booleans(), currency=st.sampled_from(["points", "积分"]),
)  # fmt: skip
loose = st.builds(
    Posting, st.builds(uuid7), st.sampled_from(["spend", "adjust", "expire", "reverse", "activate"]), st.builds(uuid7),
    moments, words, st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53), st.none() | words,
    st.builds(uuid7), st.sampled_from(["points", "积分"]),
) | st.builds(
    give_back, st.builds(uuid7), st.builds(uuid7), st.just("points"), whole, moments, words, st.none() | words
)  # fmt: skip
alike = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@alike
@given(made=st.lists(purchases, min_size=1, max_size=5))
async def test_orders_are_the_same_by_either_way(session: WriteSession, made: list[Purchase]) -> None:
    seen = []
    for many in (1, 10**6):
        async with session.begin_nested() as example:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(orders, "MANY", many)
                assert await orders.insert(session, made, fresh=True) == set()
            seen.append((await session.execute(text("SELECT * FROM purchase ORDER BY id"))).all())
            await example.rollback()
    assert seen[0] == seen[1]


@alike
@given(
    brought=st.lists(st.tuples(lots, st.sampled_from(["earn", "adjust"]), words, st.none() | words), max_size=5),
    others=st.lists(loose, max_size=5),
)  # fmt: skip
async def test_postings_are_the_same_by_either_way(
    session: WriteSession, brought: list[tuple[Lot, Any, str, str | None]], others: list[Posting]
) -> None:
    new = [lot for lot, *_ in brought]
    postings = [issue(*made) for made in brought] + others
    seen = []
    for many in (1, 10**6):
        async with session.begin_nested() as example:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writing, "MANY", many)
                accounts = [tuple(row) for row in await writing.post(session, postings, new)]
            tables = [
                (await session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))).all()
                for table in ("posting", "lot", "account", "entry")
            ]
            seen.append((sorted(accounts, key=str), tables))
            await example.rollback()
    assert seen[0] == seen[1]


@pytest.mark.parametrize("many", [1, 10**6])
async def test_what_was_posted_is_not_posted_again_by_either_way(
    session: WriteSession, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(writing, "MANY", many)
    now = datetime.now(UTC)
    new = [Lot(uuid7(), uuid7(), 5, now, now) for _ in range(3)]
    await writing.post(session, [issue(lot, "earn", "order", None) for lot in new], new)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with session.begin_nested():
            await writing.post(session, [issue(new[1], "earn", "order", None)], new[1:2])
    found = await session.execute(text("SELECT sum(balance) FROM account"))
    assert found.scalar_one() == 15


async def test_one_order_that_was_heard_of_is_found_among_many(
    session: WriteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MANY", 1)
    old, *new = (Purchase(uuid7(), "shop", str(number)) for number in range(3))
    await session.execute(text("SELECT 1"))
    assert await orders.insert(session, [old], fresh=True) == set()
    assert await orders.insert(session, [new[0], old, new[1]], fresh=True) == {old.id}
    assert (await session.execute(text("SELECT count(*) FROM purchase"))).scalar_one() == 3


@given(st.lists(st.tuples(lots, words, st.none() | words), min_size=1, max_size=3), st.booleans())
def test_what_was_earned_is_said_as_its_contract_says(brought: list[tuple[Lot, str, str | None]], known: bool) -> None:
    pairs = [(lot, issue(lot, "earn", reason, reference)) for lot, reason, reference in brought]
    owners = {lot.via: uuid7() for lot, _ in pairs} if known else {}
    for (lot, posting), said in zip(pairs, telling.earned(pairs, owners), strict=True):
        fact = PointsEarned(
            id=UUID(str(said.id)), posting_id=posting.id, via=lot.via, customer=owners.get(lot.via, lot.via),
            points=lot.points, reason=posting.reason, reference=posting.reference, currency=lot.currency,
            occurred_at=lot.earned_at,
        )  # fmt: skip
        _same(said, fact)


def test_which_accounts_changed_is_said_as_its_contract_says() -> None:
    rows: list[Any] = [
        {"via": uuid7(), "currency": "points", "balance": -number, "pending": number, "version": 2**40}
        for number in range(telling.BATCH + 1)
    ]
    said = telling.changed(rows)
    facts = [AccountsChanged.model_validate_json(each.body) for each in said]
    assert [len(fact.accounts) for fact in facts] == [telling.BATCH, 1]
    assert [account.model_dump() for fact in facts for account in fact.accounts] == rows
    for each, fact in zip(said, facts, strict=True):
        _same(each, fact)


def _same(said: Said, fact: Any) -> None:
    headers, body = Encoder()(fact)
    assert said.subject == fact.subject
    assert json.loads(said.headers) == json.loads(headers)
    assert type(fact).model_validate_json(said.body) == fact
    assert json.loads(said.body).keys() == json.loads(body).keys()
