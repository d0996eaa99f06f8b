"""An audience through the platform: by what profile works out, by name, and what becomes of both."""

from functools import partial

import httpx

from tests.e2e.shop import Shop, until


def members(shop: Shop, segment: str) -> set[str]:
    return {item["customer_id"] for item in shop.items(f"/v1/segments/{segment}/members")}


def test_tags_stages_and_lists_are_asked_by_segments(shop: Shop) -> None:
    """A tag that staff give is a membership within moments, and so is a name on a list."""
    ada, bo = shop.user("ada"), shop.user("bo")
    shop.deliver([shop.event("identify", name, traits={"email": f"{name}@example.com"}) for name in (ada, bo)])
    one, other = shop.known(ada), shop.known(bo)
    key = f"vip_{shop.mark}".replace("-", "_").lower()[:60]
    shop.post("/v1/tags", {"key": key, "label": {"en": key, "zh": key}, "dimension": "value", "kind": "manual"})
    rule = {"all": [{"trait": "tags", "contains": key}, {"trait": "plan", "exists": False}]}
    made = until(partial(_made, shop, {"name": f"tagged {shop.mark}", "rule": rule}), what="the built-in traits")
    listed = shop.post("/v1/segments", {"name": f"名单 {shop.mark}", "kind": "list"})["id"]
    until(lambda: shop.get(f"/v1/segments/{made}")["state"] == "live")
    answer = shop.http.put(f"/v1/customers/{one}/tags/{key}", json={}, headers=shop.headers)
    assert answer.status_code == 204, answer.text
    until(lambda: members(shop, made) == {one}, what="the tag in the segment")
    mail = f"email:{bo}@example.com"
    path = f"/v1/segments/{listed}/members"
    until(lambda: _outcomes(shop, f"{path}/remove", mail) == ["not_listed"], what="the address is known to segments")
    assert _outcomes(shop, path, mail, one, "email:x@y.zz") == ["added", "added", "unknown"]
    until(lambda: members(shop, listed) == {one, other}, what="both on the list")
    inside = shop.get(f"/v1/customers/{one}/segments")["items"]
    assert {item["segment_id"] for item in inside} >= {made, listed}
    told = shop.get(f"/v1/segments/{made}/members/{other}/explain")
    assert (told["member"], told["reason"]["parts"][0]["holds"]) == (False, False)


def _outcomes(shop: Shop, path: str, *named: str) -> list[str]:
    return [item["outcome"] for item in shop.post(path, {"members": named})["items"]]


def _made(shop: Shop, body: dict[str, object]) -> str | None:
    """The id, once segments has heard which traits there are."""
    answer: httpx.Response = shop.http.post("/v1/segments", json=body, headers=shop.headers)
    return str(answer.json()["id"]) if answer.status_code == 201 else None


def test_a_version_is_tried_kept_back_and_restored(shop: Shop) -> None:
    event = f"Booked {shop.mark}"
    zoe = shop.user("zoe")
    shop.deliver([shop.event("track", zoe, event=event, properties={"nights": 3})])
    customer = shop.known(zoe)

    def tried() -> bool:
        found = shop.post("/v1/segments/preview", {"rule": {"event": event}}, expect=200)
        return (found["count"], found["sample"], found["unheard"]) == (1, [customer], [])

    until(tried, what="segments has heard of it")
    draft = shop.post("/v1/segments", {"name": f"booked {shop.mark}", "rule": {"event": event}, "draft": True})
    path = f"/v1/segments/{draft['id']}"
    head = {**shop.headers, "If-Match": "*"}
    assert shop.http.post(f"{path}/publish", headers=head).status_code == 200
    until(lambda: shop.get(path)["state"] == "live")
    until(lambda: members(shop, draft["id"]) == {customer}, what="the guest")
    operation = f"/v1/operations/segments/{shop.get(path)['operation_id']}"
    until(lambda: shop.get(operation)["state"] == "succeeded", what="the operation's end")
    changed = shop.http.patch(path, json={"rule": {"event": f"Never {shop.mark}"}}, headers=head)
    assert changed.status_code == 200, changed.text
    until(lambda: members(shop, draft["id"]) == set(), what="nobody")
    assert shop.http.post(f"{path}/versions/1/restore", headers=head).json()["version"] == 3
    until(lambda: members(shop, draft["id"]) == {customer}, what="the guest again")
    history = shop.get(f"/v1/customers/{customer}/segments/history")["items"]
    assert [item["entered"] for item in history if item["segment_id"] == draft["id"]] == [True, False, True]
