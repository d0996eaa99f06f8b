"""What customers' words say: noted with the event, analysed behind it, weighed by age."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.tags.definitions import presets
from perennial.profile.tags.words import hearing, sentiment
from perennial.profile.tags.words import service as words
from perennial.profile.tags.worker import note_words

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Fire = Callable[..., Awaitable[list[str]]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
NOW = datetime.now(UTC)


def searched(query: Any, via: UUID, days: float = 0, **said: Any) -> Any:
    return tracked("Products Searched", {"query": query}, via=via, at=NOW - timedelta(days=days), **said)


async def heard(runtime: Runtime) -> list[Any]:
    async with runtime.database.read() as session:
        return list((await session.execute(text("SELECT * FROM utterance ORDER BY at"))).all())


async def test_nothing_is_analysed_in_the_events_own_transaction(
    catalogue: None, hear: Hear, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("analysed")

    monkeypatch.setattr(words, "analyse", never)
    via = uuid7()
    await hear(
        searched("狗粮", via), tracked("Product Viewed", {"query": "狗粮"}, via=via), identified({"a": 1}, via=via)
    )
    [row] = await heard(runtime)
    assert (row.via, row.kind, row.heard, row.topics) == (via, "search", False, {})


@pytest.mark.parametrize("said", [None, 5, {"a": 1}, "", "   ", "x" * 100_000, "🙂" * 500, "\\u0000 '; --"])
async def test_whatever_is_sent_as_words_is_heard_without_harm(
    said: Any, catalogue: None, hear: Hear, listen: Derive, runtime: Runtime
) -> None:
    await hear(searched(said, uuid7()))
    await listen()
    [row] = await heard(runtime)
    assert (row.heard, row.topics) == (True, {})


async def test_only_the_beginning_of_a_long_text_is_looked_at(
    catalogue: None, hear: Hear, listen: Derive, runtime: Runtime
) -> None:
    await hear(searched("x " * hearing.LONGEST + "cheap", uuid7()))
    await listen()
    assert (await heard(runtime))[0].topics == {}


async def test_an_import_is_heard_once(catalogue: None, hear: Hear, listen: Derive, runtime: Runtime) -> None:
    event = searched("cheap", uuid7(), live=False)
    await hear(event)
    await listen()
    async with runtime.database.read() as session:
        marks = (await session.execute(text("SELECT live FROM stale"))).scalars().all()
    assert not any(marks)
    async with runtime.database.write() as session:
        await note_words(session, [event])
        assert await words.hear(session) == 0


async def test_words_fade(
    catalogue: None, hear: Hear, listen: Derive, derive_at: Derive, shown: Shown, client: httpx.AsyncClient,
    runtime: Runtime,
) -> None:  # fmt: skip
    via = uuid7()
    await hear(searched("cheap cheap cheap", via), searched("price", via, days=30))
    await listen()
    await derive_at(NOW)
    assert (await shown())[via] >= {"cares_about_price"}
    async with runtime.database.read() as session:
        due = (await session.execute(text("SELECT due_at FROM timer WHERE kind = 'tags'"))).scalar_one()
    explained = (await client.get(f"/v1/customers/{via}/tags/cares_about_price/explain")).json()
    assert explained["score"] == pytest.approx(3.5, abs=0.01)
    assert [item["adds"] for item in explained["heard"]] == pytest.approx([3.0, 0.5], abs=0.01)
    fades = datetime.fromisoformat(explained["next_change"])
    assert fades > due
    assert abs(fades - NOW - timedelta(days=84.2)) < timedelta(days=0.1), "3.5 is halved 2.8 times, each in 30 days"
    await derive_at(fades - timedelta(hours=1))
    assert (await shown())[via] >= {"cares_about_price"}
    await derive_at(fades + timedelta(seconds=5))
    assert "cares_about_price" not in (await shown())[via]


async def test_a_merge_adds_words_together(
    catalogue: None, hear: Hear, assign: Hear, listen: Derive, derive: Derive, shown: Shown, client: httpx.AsyncClient
) -> None:
    one, other = uuid7(), uuid7()
    body = {"key": "loud", "label": {"en": "Loud"}, "dimension": "need", "kind": "words"}
    said = {"topics": ["pet"], "threshold": 1.5, "half_life": "P30D", "kinds": {"search": 1.0}}
    assert (await client.post("/v1/tags", json={**body, "words": said})).status_code == 201
    await hear(searched("dog", one), searched("cat", other))
    await listen()
    await derive()
    assert "loud" not in (await shown())[one]
    await assign(one, other, version=2)
    await derive()
    assert "loud" in (await shown())[one]
    await assign(other, other, version=3)
    await derive()
    assert all("loud" not in tags for tags in (await shown()).values())


async def test_other_words_for_a_topic_are_heard_in_what_was_said_before(
    catalogue: None, hear: Hear, listen: Derive, derive: Derive, fire: Fire, shown: Shown, client: httpx.AsyncClient,
    runtime: Runtime,
) -> None:  # fmt: skip
    via, gone = uuid7(), uuid7()
    await hear(searched("axolotl", via), searched("dog", gone, days=1))
    await listen()
    assert [row.topics for row in await heard(runtime)] == [{"pet": 1}, {}]
    topic = (await client.get("/v1/topics/pet")).json()
    terms = {"en": [*topic["terms"]["en"][2:], "axolotl"], "zh": topic["terms"]["zh"]}
    async with runtime.database.write() as session:  # the timeline keeps it no longer
        await session.execute(
            text("UPDATE utterance SET at = at - interval '9 years' WHERE via = :gone"), {"gone": gone}
        )
    changed = await client.put(
        "/v1/topics/pet", json={"label": topic["label"], "terms": terms}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json()["edited"]) == (200, True)
    assert (await client.put("/v1/topics/pet", json=topic_of(topic), headers={"If-Match": '"1"'})).status_code == 412
    assert "rehear" in await fire()
    await listen()
    assert [row.topics for row in await heard(runtime)] == [{"pet": 1}, {"pet": 1}], "what is gone keeps what is known"
    await derive()
    assert "pet_owner" in (await shown())[via]


def topic_of(said: dict[str, Any]) -> dict[str, Any]:
    return {"label": said["label"], "terms": said["terms"]}


async def test_topics_are_made_dropped_and_not_seeded_again(
    catalogue: None, client: httpx.AsyncClient, runtime: Runtime
) -> None:
    body = {"label": {"en": "Tea"}, "terms": {"en": ["tea", "oolong"], "zh": ["茶叶"]}}
    new = {"If-None-Match": "*"}
    assert (await client.put("/v1/topics/tea", json=body, headers=new)).json()["origin"] == "own"
    assert (await client.put("/v1/topics/tea", json=body, headers=new)).status_code == 412
    assert (await client.put("/v1/topics/coffee", json=body, headers={"If-Match": "*"})).status_code == 404
    for key in ("tea", "eco"):
        assert (await client.delete(f"/v1/topics/{key}", headers={"If-Match": "*"})).status_code == 204
    async with runtime.database.write() as session:
        assert await words.seed(session) == []
    listed = [item["key"] for item in (await client.get("/v1/topics", params={"limit": 200})).json()["items"]]
    assert not {"tea", "eco"} & set(listed)
    assert listed == sorted(listed)


# Short plain judgements, as shoppers write them; the lexicon must be right on nine of ten of these.
JUDGED = {
    "Great quality, very happy": 1, "Terrible service": -1, "Not good": -1, "I don't like it at all": -1,
    "Works perfectly, would recommend": 1, "Arrived broken and late": -1, "Absolutely love this dress": 1,
    "Waste of money": -1, "Nice and soft": 1, "Very disappointed, worst purchase ever": -1,
    "Fast delivery, friendly staff": 1, "Never again, awful": -1, "It is okay, nothing bad to say": 1,
    "质量很好,非常满意": 1, "太差了,再也不买": -1, "不好用": -1, "物流很快,包装精致": 1, "穿着不舒服": -1,
    "没有异味,很喜欢": 1, "客服态度差,很失望": -1, "性价比高,值得推荐": 1, "是假货,骗子": -1, "不太满意": -1,
    "宝宝很喜欢,好评": 1, "洗一次就掉色,垃圾": -1,
}  # fmt: skip


def test_the_lexicon_is_right_about_plain_judgements() -> None:
    found = sentiment.Lexicon().polarities(list(JUDGED))
    wrong = [text for (text, sign), polarity in zip(JUDGED.items(), found, strict=True) if (polarity or 0) * sign <= 0]
    assert len(wrong) <= len(JUDGED) // 10, wrong
    assert all(polarity is None or -1 <= polarity <= 1 for polarity in found)


def test_it_says_nothing_where_it_knows_nothing() -> None:
    assert sentiment.Lexicon().polarities(["", "table 120 cm", "桌子"]) == [None, None, None]


def test_stars_count_as_much_as_words() -> None:
    assert sentiment.with_stars(None, 1) == -1
    assert sentiment.with_stars(0.5, 5) == 0.75
    assert [sentiment.with_stars(0.5, odd) for odd in (None, "5", True, 9, 0)] == [0.5] * 5


def test_another_model_can_take_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "theirs"

        def load(self) -> Callable[[], sentiment.Model]:
            return Sunny

    class Sunny:
        def polarities(self, texts: Any) -> list[float | None]:
            return [1.0 for _ in texts]

    monkeypatch.setattr(sentiment, "entry_points", lambda group: [Point()] if group == "perennial.sentiment" else [])
    sentiment.model.cache_clear()
    try:
        topics = hearing.terms(presets.load("topics.json"))
        [found] = words.analyse(topics, [(uuid7(), "search", {"query": "terrible"})])
        assert found["polarity"] == 1.0
    finally:
        sentiment.model.cache_clear()


async def test_a_text_that_a_model_cannot_bear_holds_up_no_other(
    catalogue: None, hear: Hear, listen: Derive, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frail:
        def polarities(self, texts: Any) -> list[float | None]:
            if "bomb" in texts:
                raise RuntimeError("too much for me")
            return [0.5 for _ in texts]

    monkeypatch.setattr(sentiment, "model", Frail)
    via = uuid7()
    await hear(searched("dog", via, days=2), searched("bomb", via, days=1), searched("cat", via))
    await listen()
    assert [(row.heard, row.topics) for row in await heard(runtime)] == [
        (True, {"pet": 1}), (True, {}), (True, {"pet": 1}),
    ]  # fmt: skip


def test_chinese_words_are_cut_not_searched_for() -> None:
    """A character inside another word is no mention: 宝贵 (precious) is not 贵 (expensive)."""
    ear = hearing.ear(hearing.terms(presets.load("topics.json")))
    assert ear.topics("宝贵的意见") == {}
    assert ear.topics("太贵了") == {"price": 1}
    assert ear.topics("A shipshape discounting of pricey-ness") == {}


async def test_who_is_derived_while_all_is_heard_anew_keeps_their_tags(
    catalogue: None, client: httpx.AsyncClient, hear: Hear, listen: Derive, derive: Derive, shown: Shown, fire: Fire
) -> None:
    via = uuid7()
    await hear(searched("cheap discount coupon", via), searched("cheap", via))
    await listen()
    await derive()
    before = (await shown())[via]
    assert before
    topic = await client.get("/v1/topics/price")
    body = {name: topic.json()[name] for name in ("label", "terms")}
    changed = await client.put("/v1/topics/price", json=body, headers={"If-Match": topic.headers["ETag"]})
    assert changed.status_code == 200, changed.text
    assert "rehear" in await fire("rehear")
    await hear(tracked("A", via=via))
    await derive()
    assert (await shown())[via] == before
    await listen()
    await derive()
    assert (await shown())[via] == before


async def test_a_number_of_a_model_that_is_none_says_nothing(
    catalogue: None, hear: Hear, listen: Derive, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        def polarities(self, texts: Sequence[str]) -> list[float | None]:
            return [float("nan") for _ in texts]

    monkeypatch.setattr(sentiment, "model", Odd)
    await hear(searched("cheap", uuid7()))
    await listen()
    [row] = await heard(runtime)
    assert (row.heard, row.polarity) == (True, None)
