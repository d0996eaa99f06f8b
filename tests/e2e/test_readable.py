"""Every event that got a 200 is readable by its message id, whatever became of it; what did not says why."""

from functools import partial
from urllib.parse import quote

from tests.e2e.shop import Shop, in_the_past, until


def test_every_event_that_got_a_200_is_readable(shop: Shop) -> None:
    fine = shop.event("track", shop.user("a"), event="Tap")
    odd = {**shop.event("track", shop.user("a"), event="Tap"), "messageId": f"{shop.mark}/../a b?c=\\d%2F"}
    nobody = shop.event("track", "null", event="Tap", properties={"plan": "gold"})
    events = [fine, odd, nobody]
    answer = shop.send(events)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3)

    def read() -> list[dict[str, object]] | None:
        found = [shop.try_get(f"/v1/events/{quote(str(event['messageId']), safe='')}") for event in events]
        return [one for one in found if one] if all(found) else None

    shown, strange, parked = until(read, what="each of the three events")
    assert [one["message_id"] for one in (shown, strange, parked)] == [event["messageId"] for event in events]
    assert ("state" in shown, parked["state"]) == (False, "parked")
    assert parked["reason"] == {
        "code": "no_identifier", "detail": "every identifier of the event is blocked or malformed",
    }  # fmt: skip
    assert parked["body"] == {**nobody}
    listed = {item["event_id"] for item in shop.items("/v1/identity/parked")}
    assert parked["id"] in listed
    missing = shop.http.get(f"/v1/events/{shop.mark}-none", headers=shop.headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_what_is_too_old_is_refused_at_the_edge_and_comes_in_as_an_import(shop: Shop) -> None:
    user, at = shop.user("old"), in_the_past(36)
    old = [shop.event("track", user, event="Tap", timestamp=at) for _ in range(3)]
    answer = shop.send([*old, shop.event("track", user, event="Tap")]).json()
    assert (answer["accepted"], {item["code"] for item in answer["rejected"]}) == (1, {"too_old"})
    path = "/v1/sources/development/violations"

    def kept() -> bool:
        return {event["messageId"] for event in old} <= {
            item["message_id"] for item in shop.items(path, code="too_old")
        }

    until(kept, what="the violations")
    wish = {**shop.headers, "Prefer": "respond-async"}
    asked = {"code": "too_old", "as_import": True}
    started = shop.http.post(f"{path}/replay", json=asked, headers=wish)
    assert (started.status_code, started.headers["preference-applied"]) == (202, "respond-async"), started.text
    where = started.headers["location"]
    done = until(lambda: (shop.try_get(where) or {}).get("finished_at") and shop.get(where), what="the replay")
    assert (done["state"], done["result"]["rejected"]) == ("succeeded", {})
    assert done["result"]["replayed"] >= 3
    for event in old:
        found = until(partial(shop.try_get, f"/v1/events/{event['messageId']}"), what="a replayed event")
        assert (found["live"], found["timestamp"][:19]) == (False, at[:19])
