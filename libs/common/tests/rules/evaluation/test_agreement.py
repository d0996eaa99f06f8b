"""The closures, the SQL and a naive oracle give one answer."""

from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.common.tests.rules.drawn.documents import COUNTED, questions
from libs.common.tests.rules.drawn.histories import ZONES, History, histories, searched
from libs.common.tests.rules.drawn.values import CUSTOMERS, NOW
from libs.common.tests.rules.oracle.naive import naive
from perennial.common import rules
from perennial.common.rules import View
from perennial.common.rules.facts import load_views


@searched
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES))
async def test_three_evaluators_agree(
    facts_connection: AsyncConnection, history: History, chosen: list[dict[str, Any]], zone: str
) -> None:
    outer = await facts_connection.begin()
    try:
        async with AsyncSession(facts_connection, join_transaction_mode="create_savepoint") as session:
            await history.write(session)
            for document in chosen:
                rule = rules.parse(document)
                query = rules.to_sql(rule, NOW, ZoneInfo(zone))
                by_sql = list((await session.execute(text(query.text), query.params)).scalars())
                views = await load_views(session, CUSTOMERS, rules.footprint(rule), NOW)
                holds = rules.compile(rule, ZoneInfo(zone))
                in_memory = {customer for customer, view in views.items() if holds(view, NOW)}
                expected = {customer for customer in CUSTOMERS if naive(document, history.view(customer), NOW, zone)}
                assert in_memory == expected
                assert sorted(by_sql) == sorted(expected)
                flips = rules.flips(rule, ZoneInfo(zone))
                waiting = {customer for customer, view in views.items() if flips(view, NOW)}
                awaiting = rules.awaiting_sql(rule, NOW, ZoneInfo(zone))
                found = awaiting and (await session.execute(text(awaiting.text), awaiting.params)).scalars().all()
                assert waiting <= set(found or ())
    finally:
        await outer.rollback()


@searched
@given(history=histories(), chosen=questions)
def test_an_unsaved_view_answers_alike(history: History, chosen: list[dict[str, Any]]) -> None:
    """The values as an event brings them, floats and all, before they went through Postgres."""
    for document, customer in product([*chosen, *COUNTED], CUSTOMERS):
        view = history.view(customer)
        assert rules.compile(rules.parse(document))(view, NOW) == naive(document, view, NOW)


@searched
@given(history=histories(), chosen=questions, customer=st.sampled_from(CUSTOMERS), zone=st.sampled_from(ZONES))
def test_what_rules_have_in_common_is_found_out_once_and_alike(
    history: History, chosen: list[dict[str, Any]], customer: UUID, zone: str
) -> None:
    view = history.view(customer)
    keeps, asked = (
        View(customer, view.traits, view.events, view.segments, {}),
        [rules.parse(document) for document in [*chosen, *COUNTED]],
    )
    for rule in asked:
        holds, flips = rules.compile(rule, ZoneInfo(zone)), rules.flips(rule, ZoneInfo(zone))
        assert holds(keeps, NOW) is holds(view, NOW)
        assert flips(keeps, NOW) == flips(view, NOW)
