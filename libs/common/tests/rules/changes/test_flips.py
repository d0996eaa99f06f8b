"""No answer changes before `next_flip`."""

from datetime import timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from libs.common.tests.rules.drawn.documents import questions
from libs.common.tests.rules.drawn.histories import ZONES, History, histories, searched
from libs.common.tests.rules.drawn.values import CUSTOMERS, INSTANTS, NOW, SPANS
from perennial.common import rules


@searched
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES))
def test_no_answer_changes_before_the_flip(history: History, chosen: list[dict[str, Any]], zone: str) -> None:
    days = [at.replace(hour=0, minute=0, second=0, microsecond=0) for at in INSTANTS]
    midnights = [day + timedelta(hours=hour) for day in days for hour in (0, 4, 12, 18.25)]
    spans = [sign * span for span in (timedelta(), *SPANS.values()) for sign in (-1, 1)]
    moments = sorted({at + span for at in INSTANTS + midnights for span in spans if at + span > NOW})
    for document, customer in product(chosen, CUSTOMERS):
        view, rule = history.view(customer), rules.parse(document)
        holds = rules.compile(rule, ZoneInfo(zone))
        now, flip = holds(view, NOW), rules.next_flip(rule, view, NOW, ZoneInfo(zone))
        assert flip is None or flip > NOW
        while flip is not None and holds(view, flip) == now:  # of very many instants only some are tried at a time
            asked, flip = flip, rules.next_flip(rule, view, flip, ZoneInfo(zone))
            assert flip is None or flip > asked
        assert all(holds(view, at) == now for at in moments if flip is None or at < flip)
