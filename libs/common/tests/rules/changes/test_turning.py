"""What one event more can change, and what the clock cannot."""

from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from libs.common.tests.rules.drawn.documents import COUNTED, questions
from libs.common.tests.rules.drawn.histories import ZONES, History, histories, searched
from libs.common.tests.rules.drawn.values import CUSTOMERS, INSTANTS, NOW, SPANS
from perennial.common import rules
from perennial.common.rules import View
from perennial.common.rules.changes.turning import Turn, stays, turns


@searched
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES), customer=st.sampled_from(CUSTOMERS))
def test_one_event_more_turns_an_answer_only_the_way_that_is_told(
    history: History, chosen: list[dict[str, Any]], zone: str, customer: UUID
) -> None:
    """At no moment: who is in by what happened more often is then asked no more, and their timer stands."""
    more, moments = history.view(customer), [NOW + span for span in (timedelta(), *SPANS.values())]
    for document, name in product([*chosen, *COUNTED], more.events):
        rule = rules.parse(document)
        holds, turn = rules.compile(rule, ZoneInfo(zone)), turns(rule).get(name, Turn.EITHER)
        for left_out in more.events[name] if turn is not Turn.EITHER else ():
            some = [item for item in more.events[name] if item is not left_out]
            fewer = View(more.customer_id, more.traits, {**more.events, name: some}, more.segments)
            for at in moments:
                before, after = holds(fewer, at), holds(more, at)
                assert before == after or after is (turn is Turn.RISING)


@searched
@given(history=histories(), chosen=questions, customer=st.sampled_from(CUSTOMERS))
def test_an_answer_that_stays_is_not_changed_by_the_clock(
    history: History, chosen: list[dict[str, Any]], customer: UUID
) -> None:
    view = history.view(customer)
    past = {name: [item for item in found if item.at <= NOW] for name, found in view.events.items()}
    for document in [*chosen, *COUNTED]:
        rule = rules.parse(document)
        holds = rules.compile(rule)
        known = View(customer, view.traits, {name: found for name, found in past.items() if found}, view.segments)
        if stays(rule) is holds(known, NOW):
            assert all(holds(known, at + span) is stays(rule) for at in INSTANTS if at > NOW for span in SPANS.values())
