"""`?preview=true`: what a merge, its undo or a split would show everywhere, before anybody does it."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from perennial.local.platform import Platform
from perennial.profile.customers.preview import TOLD
from tests.e2e.shop import Shop, until

# Of the derivation; and of everybody else's orders.
MOMENTS = ("since", "r", "f", "m", "group", "class", "quadrant", "cluster", "run_id")


class Story:
    """Mia with an order, and a visitor with another; a segment, a journey, a ticket each."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.segment, self.journey = _segment(shop), _journey(shop)
        mia, visitor = shop.user("mia"), shop.user("visitor")
        bought = {"order_id": f"{shop.mark}-x", "revenue": "300", "currency": "USD"}
        shop.deliver(
            [
                shop.event("identify", mia, traits={"email": f"{mia}@example.com", "plan": "pro"}),
                shop.order(mia, "300"),
                shop.event("track", None, anonymousId=visitor, event="Order Completed", properties=bought),
                shop.event("track", mia, event=f"Rested {shop.mark}"),
                shop.event("track", None, anonymousId=visitor, event=f"Rested {shop.mark}"),
            ]
        )
        self.one, self.two = shop.known(mia), shop.known(visitor, "anonymous_id")
        for customer in (self.one, self.two):
            ticket = {"customer_id": customer, "type": "question", "subject": "Hello", "description": "A question"}
            until(partial(_posted, shop, "/v1/tickets", ticket), what="a ticket")
            until(partial(self._settled, customer), what="orders, points, the journey, RFM")

    def _settled(self, customer: str) -> bool:
        shown = self.shown(customer)
        known = (shown["loyalty"]["balance"], len(shown["campaigns"]["enrolments"]), len(shown["tickets"]["open"]))
        return known == (300, 1, 1) and shown["segments"]["rfm"] is not None

    def shown(self, customer: str) -> dict[str, Any]:
        """By service what it shows of a customer, in the form of a preview."""
        shop = self.shop
        whole = shop.get(f"/v1/customers/{customer}")
        inside = {item["customer_id"] for item in shop.items(f"/v1/segments/{self.segment['id']}/members")}
        walks = shop.items(f"/v1/journeys/{self.journey}/enrolments", customer_id=customer)
        account = shop.try_get(f"/v1/loyalty/accounts/{customer}") or {"balance": 0}
        return {
            "profile": _plain(_untold(whole)),
            "loyalty": _plain(account),
            "segments": {
                "segments": [self.segment] if customer in inside else [],
                "rfm": _plain(shop.try_get(f"/v1/rfm/customers/{customer}")),
            },
            "campaigns": {"enrolments": [item for item in walks if item["ended_at"] is None], "messages": {}},
            "tickets": {"open": shop.items("/v1/tickets", customer_id=customer, open=True)},
        }

    def preview(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.shop.post(f"{path}?preview=true", body, expect=200)
        assert found["preview"] is True
        return found

    def agreed(self, customer: str, wanted: dict[str, Any]) -> bool:
        return self.shown(customer) == wanted


def _segment(shop: Shop) -> dict[str, str]:
    name = f"twice {shop.mark}"
    rule = {"event": "Order Completed", "count": {"gte": 2}}
    made = shop.post("/v1/segments", {"name": name, "rule": rule})["id"]
    until(lambda: shop.get(f"/v1/segments/{made}")["state"] == "live")
    return {"id": made, "name": name}


def _journey(shop: Shop) -> str:
    definition = {
        "trigger": {"event": f"Rested {shop.mark}"},
        "steps": [{"id": "rest", "kind": "wait", "for": "P1D"}],
        "reentry": "always",
    }
    made = shop.post("/v1/journeys", {"name": f"rest {shop.mark}", "definition": definition})["id"]
    shop.post(f"/v1/journeys/{made}/publish")
    return str(made)


def _posted(shop: Shop, path: str, body: dict[str, Any]) -> bool:
    headers = {**shop.headers, "Idempotency-Key": uuid4().hex}
    return shop.http.post(path, json=body, headers=headers).status_code == 201


def _untold(customer: dict[str, Any]) -> dict[str, Any]:
    """Without what other services tell profile: whole sections, or parts of one."""
    sections = {name: shown for name, shown in customer.items() if TOLD.get(name) is not True}
    return {
        name: {key: shown[key] for key in shown.keys() - TOLD[name]} if name in TOLD else shown
        for name, shown in sections.items()
    }


def _plain(shown: Any) -> Any:
    """Without the moments at which it was derived."""
    if isinstance(shown, dict):
        return {name: _plain(value) for name, value in shown.items() if name not in MOMENTS}
    return [_plain(value) for value in shown] if isinstance(shown, list) else shown


def sides(preview: dict[str, Any], side: str) -> dict[str, dict[str, Any]]:
    """By customer what each service shows of it."""
    found: dict[str, dict[str, Any]] = {}
    for service, shown in preview["services"].items():
        for customer, value in shown[side].items():
            plain = _plain(value)
            if service == "segments":
                plain["segments"] = value["segments"]
            if service == "campaigns":
                plain["messages"] = {}
            found.setdefault(customer, {})[service] = plain
    return found


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One of its own: RFM ranks a customer among all others, and nobody else may come between."""
    with Platform(tmp_path_factory.mktemp("previews"), port=0) as running:
        yield running


@pytest.fixture
def story(shop: Shop) -> Story:
    return Story(shop)


def test_what_was_foretold_is_what_comes(story: Story) -> None:
    one, two = story.one, story.two
    before = {customer: story.shown(customer) for customer in (one, two)}
    body = {"customer_ids": [one, two], "reason": "same person"}
    ahead = story.preview("/v1/merges", body)
    assert (ahead["unavailable"], ahead["withheld"], len(ahead["customers"])) == ([], [], 1)
    assert sides(ahead, "before") == before
    assert {customer: story.shown(customer) for customer in (one, two)} == before
    assert story.shop.items("/v1/merges", customer_id=one) == []

    merge = story.shop.post("/v1/merges", body, expect=201)
    survivor = merge["survivor"]
    merged = sides(ahead, "after")
    assert merged.keys() == {survivor}
    assert merged[survivor]["profile"]["orders"]["count"] == 2
    assert story.segment in merged[survivor]["segments"]["segments"]
    assert merged[survivor]["loyalty"]["tier"]["name"] != before[one]["loyalty"]["tier"]["name"]
    assert len(merged[survivor]["tickets"]["open"]) == len(merged[survivor]["campaigns"]["enrolments"]) == 2
    until(partial(story.agreed, survivor, merged[survivor]), what=f"as foretold: {merged[survivor]}")

    undo = f"/v1/merges/{merge['id']}/undo"
    apart = story.preview(undo, {"reason": "two people"})
    assert sides(apart, "after") == before
    assert story.agreed(survivor, merged[survivor])
    story.shop.post(undo, {"reason": "two people"}, expect=200)
    for customer in (one, two):
        until(partial(story.agreed, customer, before[customer]), what="as it was before")
    again = story.shop.http.post(f"{undo}?preview=true", json={"reason": "x"}, headers=story.shop.headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_undone")


def test_a_split_foretold(story: Story) -> None:
    vias = [item for item in story.shop.items(f"/v1/customers/{story.one}/identifiers") if item["id"] != story.one]
    body = {"customer_id": story.one, "identifiers": [vias[0]["id"]], "reason": "somebody else's"}
    ahead = story.preview("/v1/splits", body)
    split = story.shop.post("/v1/splits", body, expect=201)
    after = sides(ahead, "after")
    assert after.keys() == {split["customer_id"], split["separated"]}
    for customer, wanted in after.items():
        until(partial(story.agreed, customer, wanted), what=f"as foretold: {wanted}")
    undo = f"/v1/splits/{split['id']}/undo"
    back = story.preview(undo, {"reason": "hers"})
    assert sides(back, "after") == sides(ahead, "before")


def test_who_is_away_is_named_and_who_may_not_read_sees_nothing(platform: Platform, story: Story) -> None:
    shop, body = story.shop, {"customer_ids": [story.one, story.two], "reason": "same person"}
    key = shop.post("/v1/api-keys", {"name": "x", "scopes": ["identities:*", "customers:read"]}, key=shop.mark)["key"]
    headers = {"Authorization": f"Bearer {key}"}
    seen = shop.http.post("/v1/merges?preview=true", json=body, headers=headers).json()
    assert (list(seen["services"]), seen["withheld"]) == (["profile"], ["campaigns", "loyalty", "segments", "tickets"])
    own = shop.http.get(f"/v1/customers/{story.one}", headers=headers).json()["traits"]
    assert seen["services"]["profile"]["before"][story.one]["traits"] == own  # masked as they are there
    assert own != story.shown(story.one)["profile"]["traits"]
    platform.stop_process("loyalty")
    try:
        ahead = story.preview("/v1/merges", body)
    finally:
        platform.start_process("loyalty")
    assert (ahead["unavailable"], sorted(ahead["services"])) == (
        ["loyalty"], ["campaigns", "profile", "segments", "tickets"],
    )  # fmt: skip
