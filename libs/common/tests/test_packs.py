"""Rows of an outbox: what is said is what is read, in order; a version that knows no packs fails on them."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common import packs
from perennial.common.events import Encoder
from perennial.common.packs import Said
from perennial.common.testing.probe import ThingDone


def said(*sizes: int) -> list[Said]:
    encode, events = Encoder(), [ThingDone(what="x" * size) for size in sizes]
    return [Said(event.id, event.subject, *encode(event)) for event in events]


sizes = st.lists(st.sampled_from([1, 50, packs.LARGE - 200, packs.LARGE + 1]), max_size=3 * packs.MOST)


@settings(deadline=None, max_examples=50)
@given(sizes=sizes)
def test_what_is_said_is_what_is_read(sizes: list[int]) -> None:
    facts = said(*sizes)
    rows = packs.rows(facts)
    columns = list(zip(rows["subjects"], rows["headers"], rows["bodies"], strict=True))
    read = [fact for row in columns for fact in packs.facts(*row)]
    assert [(fact.subject, fact.body) for fact in read] == [(fact.subject, fact.body) for fact in facts]
    for fact, one in zip(read, facts, strict=True):
        assert fact.headers == {**json.loads(one.headers), "Nats-Msg-Id": str(one.id)}
    counts = [json.loads(headers)["facts"] if subject == packs.SUBJECT else 1 for subject, headers, _ in columns]
    assert sum(counts) == len(facts)
    assert max(counts, default=0) <= packs.MOST
    if len(facts) < packs.LEAST:
        assert len(columns) == len(facts)


def test_a_hundred_facts_share_a_row_and_few_have_rows_of_their_own() -> None:
    assert packs.rows(said(*[9] * 1000))["subjects"] == [packs.SUBJECT] * 10
    assert packs.rows(said(*[9] * (packs.LEAST - 1)))["subjects"] == [ThingDone.subject] * (packs.LEAST - 1)
    assert packs.rows(said(*[9] * 101))["subjects"] == [packs.SUBJECT, ThingDone.subject]


def test_a_version_that_knows_no_packs_has_no_id_to_publish_one_under() -> None:
    (headers,) = packs.rows(said(*[9] * 50))["headers"]
    assert json.loads(headers) == {"facts": 50}
