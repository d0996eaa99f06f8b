"""Reviews and photos earn once they are approved and lose it once removed, whatever comes first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import httpx
import pytest

from perennial.common.contracts.loyalty import PointsEarned, PointsReversed
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
PATH = "/v1/loyalty/content"
REVIEWS = {
    "kind": "review", "event": "Product Reviewed", "key": "review_id", "text": "review_body", "media": "photos",
    "subject": "product_id", "approved_by": "Review Approved", "rejected_by": "Review Rejected",
    "removed_by": "Review Removed",
}  # fmt: skip
RULES = [
    {"name": "review", "event": "Product Reviewed", "per": "event", "points_per_unit": 20,
     "caps": [{"times": 2, "per": "day"}]},
    {"name": "晒单", "event": "Product Reviewed", "per": "event", "points_per_unit": 30,
     "condition": {"trait": "photos[]", "exists": True}},
]  # fmt: skip


@pytest.fixture
async def via(shop: Any) -> UUID:
    found = uuid7()
    await shop.assign(found, found)
    await shop.programme(LONG_AGO, content=[REVIEWS], earn_rules=RULES)
    return found


def review(via: UUID, key: str, *, name: str = "Product Reviewed", at: datetime = AT, **more: Any) -> Any:
    said = {"review_id": key, "review_body": "好茶 call 13877776666", "product_id": "p/1", **more}
    return tracked(name, said, via=via, at=at)


async def act(client: httpx.AsyncClient, verb: str, content: Any, key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key or f"{verb}{content}"}
    return await client.post(f"{PATH}/{content}/{verb}", json=body, headers=headers)


async def test_it_waits_then_earns_then_is_taken_back(shop: Any, client: httpx.AsyncClient, via: UUID) -> None:
    photos = ["https://cdn.example/1.jpg", {"url": "https://cdn.example/2.jpg"}]
    await shop.say(review(via, "r1", photos=photos))
    assert await shop.balance(via) == 0
    [waiting] = (await client.get(f"{PATH}?state=waiting&kind=review&customer_id={via}")).json()["items"]
    assert (waiting["state"], waiting["subject"], waiting["points"]) == ("waiting", "p/1", {})
    assert waiting["media"] == ["https://cdn.example/1.jpg", "https://cdn.example/2.jpg"]
    done = await act(client, "approve", waiting["id"], note="nice")
    assert (done.status_code, done.json()["state"], done.json()["points"]) == (200, "approved", {"points": 50})
    assert await shop.balance(via) == 50
    again = await act(client, "approve", waiting["id"], note="nice")
    assert (again.headers["Idempotent-Replayed"], await shop.balance(via)) == ("true", 50)
    twice = await act(client, "approve", waiting["id"], "another key")
    assert (twice.status_code, twice.json()["code"]) == (409, "decided")
    gone = await act(client, "remove", waiting["id"], note="copied")
    assert (gone.json()["state"], gone.json()["points"]) == ("removed", {"points": 0})
    assert await shop.balance(via) == 0
    assert (await act(client, "reject", waiting["id"])).status_code == 409
    assert [fact["points"] for fact in await shop.said(PointsEarned)] == [50]
    assert [fact["points"] for fact in await shop.said(PointsReversed)] == [50]
    explained = await client.get(f"/v1/loyalty/accounts/{via}/ledger")
    first = explained.json()["items"][-1]
    cause = (await client.get(f"/v1/loyalty/accounts/{via}/ledger/{first['id']}/explain")).json()["cause"]
    assert {item["rule"]: item["points"] for item in cause["rules"]} == {"review": 20, "晒单": 30}


async def test_what_is_refused_brings_nothing_and_may_be_approved_later(
    shop: Any, client: httpx.AsyncClient, via: UUID
) -> None:
    await shop.say(review(via, "r1"))
    [item] = (await client.get(PATH)).json()["items"]
    assert (await act(client, "remove", item["id"])).status_code == 409
    assert (await act(client, "reject", item["id"])).json()["state"] == "rejected"
    assert await shop.balance(via) == 0
    assert (await act(client, "approve", item["id"])).json()["points"] == {"points": 20}


DECISIONS = ("Review Approved", "Review Removed", "Review Rejected", "Review Approved")


@pytest.mark.parametrize("many", [2, 3, 4])
@pytest.mark.usefixtures("via")
async def test_whatever_comes_first_the_latest_decision_holds(shop: Any, many: int) -> None:
    every = list(permutations(range(many + 1)))[:: 5 if many == len(DECISIONS) else 1]
    for number, sequence in enumerate(every):
        key, person = f"{many} {number}", uuid7()
        decided = [
            review(uuid7(), key, name=name, at=AT + timedelta(hours=1 + hour))
            for hour, name in enumerate(DECISIONS[:many])
        ]
        events = [review(person, key), *decided]
        for index in sequence:
            await shop.say(events[index])
        assert await shop.balance(person) == (20 if many == len(DECISIONS) else 0), sequence


async def test_what_comes_again_is_what_was_taken_back(shop: Any, client: httpx.AsyncClient, via: UUID) -> None:
    await shop.say(review(via, "r1"))
    content = (await client.get(PATH)).json()["items"][0]["id"]
    for number, (verb, points) in enumerate((("approve", 20), ("remove", 0), ("approve", 20), ("remove", 0)) * 2):
        done = await act(client, verb, content, str(number))
        assert (done.status_code, done.json()["points"]) == (200, {"points": points})
        await shop.prove()
    lines = (await client.get(f"/v1/loyalty/accounts/{via}/ledger")).json()["items"]
    for line in lines:
        explained = (await client.get(f"/v1/loyalty/accounts/{via}/ledger/{line['id']}/explain")).json()
        assert explained["cause"]["name"] == "Product Reviewed"


async def test_the_same_content_counts_once(shop: Any, via: UUID) -> None:
    await shop.say(*[review(via, "r1") for _ in range(3)], review(via, "r1", name="Review Approved"))
    await shop.say(review(uuid7(), "r1"), review(via, "r1", name="Review Approved", at=AT + timedelta(days=1)))
    assert await shop.balance(via) == 20


async def test_caps_hold_for_content(shop: Any, via: UUID) -> None:
    for key in ("a", "b", "c"):
        await shop.say(review(via, key), review(via, key, name="Review Approved"))
    assert await shop.balance(via) == 40


async def test_without_moderation_it_earns_as_it_comes_and_goes_when_removed(shop: Any) -> None:
    via = uuid7()
    posts = {"kind": "post", "event": "Post Shared", "moderation": "none", "removed_by": "Post Removed"}
    rules = [{"name": "post", "event": "Post Shared", "per": "event", "points_per_unit": 5}]
    await shop.programme(LONG_AGO, content=[posts], earn_rules=rules)
    await shop.say(tracked("Post Shared", {"id": 7}, via=via, at=AT))
    assert await shop.balance(via) == 5
    await shop.say(tracked("Post Removed", {"id": "7"}, via=via, at=AT + timedelta(hours=1)))
    assert await shop.balance(via) == 0
    await shop.say(tracked("Post Removed", {"id": "8"}, via=via, at=AT))
    await shop.say(tracked("Post Shared", {"id": "8"}, via=via, at=AT - timedelta(hours=1)))
    await shop.say(tracked("Post Shared", {}, via=via, at=AT))
    assert await shop.balance(via) == 0


async def test_taken_back_within_the_balance(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.programme(
        LONG_AGO, content=[REVIEWS], earn_rules=RULES,
        currencies=[{"code": "points", "refund_policy": "within_balance"}],
    )  # fmt: skip
    await shop.say(review(via, "r1"), review(via, "r1", name="Review Approved"))
    spend = {"points": 15, "reason": "mug"}
    await client.post(f"/v1/loyalty/accounts/{via}/spend", json=spend, headers={"Idempotency-Key": "1"})
    await shop.say(review(via, "r1", name="Review Removed", at=AT + timedelta(days=1)))
    assert await shop.balance(via) == 0
    await shop.order(via, 1)
    await shop.say(review(via, "r1", name="Review Removed", at=AT + timedelta(days=2)))
    assert (await shop.account(via)).reversed == 5


async def test_i_see_what_became_of_mine(
    shop: Any, client: httpx.AsyncClient, token: Callable[..., str], via: UUID
) -> None:
    await shop.say(review(via, "r1"), review(uuid7(), "theirs"))
    mine = {"Authorization": f"Bearer {token(via=str(via))}"}
    [item] = (await client.get("/v1/me/loyalty/content", headers=mine)).json()["items"]
    assert (item["key"], item["text"], item["state"]) == ("r1", "好茶 call 13877776666", "waiting")
    few = {"Authorization": f"Bearer {token('loyalty:read', fields=('personal',))}"}
    shown = (await client.get(f"{PATH}/{item['id']}", headers=few)).json()
    assert shown["text"] == "好茶 call 138****6666"
    none = {"Authorization": f"Bearer {token('loyalty:read', fields=())}"}
    assert "好茶" not in (await client.get(f"{PATH}/{item['id']}", headers=none)).text
    denied = await client.post(f"{PATH}/{item['id']}/approve", json={}, headers=few | {"Idempotency-Key": "1"})
    assert denied.status_code == 403


async def test_what_is_not_there(client: httpx.AsyncClient) -> None:
    missing = uuid7()
    assert (await client.get(f"{PATH}/{missing}")).status_code == 404
    assert (await act(client, "approve", missing)).status_code == 404
    assert (await client.get(f"{PATH}?cursor=nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([REVIEWS, {**REVIEWS, "kind": "other"}], "content: an event is about one kind"),
        ([REVIEWS, {"kind": "review", "event": "Other"}], "content: names must be unique"),
        ([{**REVIEWS, "removed_by": "Review Approved"}], "events must differ from each other"),
        ([{**REVIEWS, "event": "Order Completed"}], "tells of no content"),
    ],
)
async def test_what_cannot_be_says_why(client: httpx.AsyncClient, rules: Any, words: str) -> None:
    body = {"earn_rules": [], "tiers": [{"name": "member", "threshold": 0}], "content": rules}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, words in answer.text) == (422, True)
