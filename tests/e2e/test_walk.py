"""A customer pays, the points appear on the phone; and what every other service makes of it."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import httpx
from standardwebhooks.webhooks import Webhook

from tests.e2e.shop import Shop, in_the_past, until


def test_a_customer_pays_and_the_points_appear_on_the_phone(shop: Shop) -> None:
    anna = shop.user("anna")
    segment = shop.post(
        "/v1/segments",
        {"name": f"buyers {shop.mark}", "rule": {"event": "Order Completed", "within": "P30D"}},
    )
    until(lambda: shop.get(f"/v1/segments/{segment['id']}")["state"] == "live")
    order = shop.order(anna, "120.50")
    who = shop.event("identify", anna, traits={"email": f"{anna}@example.com", "firstName": "Anna"})
    shop.deliver([who, order])
    customer = shop.known(anna)
    token = shop.post("/v1/customer-tokens", {"customer_id": customer})["token"]
    phone = {"Authorization": f"Bearer {token}"}
    until(
        lambda: shop.http.get("/v1/me/loyalty", headers=phone).json().get("balance") == 120, what="points on the phone"
    )

    read = shop.get(f"/v1/events/{order['messageId']}")
    assert (read["name"], read["live"], read["body"]["properties"]["revenue"]) == ("Order Completed", True, "120.50")
    shown = until(lambda: _complete(shop.get(f"/v1/customers/{customer}")), what="a complete 360")
    assert shown["traits"]["first_name"] == "Anna"
    assert (shown["orders"]["count"], shown["orders"]["gmv"]) == (1, "120.50")
    assert shown["loyalty"]["balance"] == 120
    assert [item["name"] for item in shown["segments"]] == [f"buyers {shop.mark}"]
    assert shop.customer(f"{anna}@example.com", "email") == customer
    kinds = {item["kind"]: item["value"] for item in shop.get(f"/v1/customers/{customer}/identifiers")["items"]}
    assert kinds == {"user_id": anna, "email": f"{anna}@example.com"}


def _complete(shown: dict[str, Any]) -> dict[str, Any] | None:
    return shown if shown["loyalty"] and shown["segments"] else None


def test_points_are_spent_once(shop: Shop) -> None:
    ben = shop.user("ben")
    shop.deliver([shop.order(ben, "50")])
    until(lambda: shop.points_of(ben) == 50)
    path = f"/v1/loyalty/accounts/{shop.known(ben)}/spend"
    key = uuid4().hex
    first = shop.post(path, {"points": 20, "reason": "mug"}, key=key)
    assert shop.post(path, {"points": 20, "reason": "mug"}, key=key) == first
    assert shop.points_of(ben) == 30
    refused = shop.http.post(
        path, json={"points": 31, "reason": "more"}, headers={**shop.headers, "Idempotency-Key": uuid4().hex}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_points")


def test_a_customer_asks_for_a_refund_and_is_heard(shop: Shop) -> None:
    cleo = shop.user("cleo")
    shop.deliver([shop.order(cleo, "10")])
    customer = shop.known(cleo)
    token = shop.post("/v1/customer-tokens", {"customer_id": customer})["token"]
    phone = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}
    asked = until(
        lambda: _made(
            shop.http.post(
                "/v1/me/tickets",
                json={"type": "refund", "subject": "Broken", "description": "It came broken"},
                headers=phone,
            )
        )
    )
    until(lambda: shop.get(f"/v1/customers/{customer}")["tickets"]["open"] == 1)
    shop.post(f"/v1/tickets/{asked['id']}/close", {"resolution": "refunded"})
    rated = shop.http.post(f"/v1/me/tickets/{asked['id']}/rating", json={"score": 5}, headers=phone)
    assert rated.is_success, rated.text
    until(lambda: shop.get(f"/v1/customers/{customer}")["tickets"]["open"] == 0)
    mine = shop.http.get("/v1/me/tickets", headers=phone).json()["items"]
    assert [item["id"] for item in mine] == [asked["id"]]


def _made(answer: httpx.Response) -> Any:
    return answer.json() if answer.status_code == 201 else None


def test_a_partner_is_told_and_can_verify_it(shop: Shop) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    class Partner(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Partner) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        made = shop.post("/v1/webhooks", {"url": url, "event_types": ["loyalty.points.earned.v1"]})
        dan = shop.user("dan")
        shop.deliver([shop.order(dan, "99")])
        shop.deliver([shop.order(dan, "1000", timestamp=in_the_past(200))], importing=True)
        until(lambda: shop.points_of(dan) == 1099)
        until(lambda: got or None, what="a webhook")
        server.shutdown()
    [(headers, body)] = got
    lower = {name.lower(): value for name, value in headers.items()}
    said = Webhook(made["secret"]).verify(body.decode(), lower)
    assert (said["type"], said["data"]["points"]) == ("loyalty.points.earned.v1", 99)
    assert json.loads(body)["data"]["customer"] == shop.known(dan)


def test_a_cart_left_behind_is_remembered_unless_it_is_paid(shop: Shop) -> None:
    journey = _reminder(shop)
    eva, finn = shop.user("eva"), shop.user("finn")
    for user in (eva, finn):
        who = shop.event("identify", user, traits={"email": f"{user}@example.com"})
        cart = shop.event("track", user, event="Product Added", properties={"product_id": "1"})
        shop.deliver([who, cart])
    shop.deliver([shop.order(finn, "10")])
    sent = until(lambda: shop.items("/v1/messages", journey_id=journey, status="sent"), what="a reminder")
    assert [message["customer_id"] for message in sent] == [shop.known(eva)]
    funnel = until(lambda: _settled(shop.get(f"/v1/journeys/{journey}/funnel")), what="everybody through")
    assert (funnel["enrolled"], funnel["completed"], sum(funnel["exited"].values())) == (2, 1, 1)


def _reminder(shop: Shop, wait: str = "PT3S") -> str:
    steps = [
        {"id": "wait", "kind": "wait", "for": wait},
        {
            "id": "paid",
            "kind": "condition",
            "rule": {"event": "Order Completed", "count": {"eq": 0}, "within": "PT1H"},
            "yes": "remind",
            "no": "exit",
        },
        {"id": "remind", "kind": "message", "channel": "sandbox", "subject": "Your cart", "body": "It is waiting."},
    ]
    definition = {"trigger": {"event": "Product Added"}, "steps": steps, "exit_on": [{"event": "Order Completed"}]}
    made = shop.post("/v1/journeys", {"name": f"cart {shop.mark}", "definition": definition})
    shop.post(f"/v1/journeys/{made['id']}/publish")
    return str(made["id"])


def _settled(funnel: dict[str, Any]) -> dict[str, Any] | None:
    return funnel if funnel["active"] == 0 and funnel["enrolled"] == 2 else None


def test_shuffled_events_give_the_same_traits(shop: Shop) -> None:
    gina, hugo = shop.user("gina"), shop.user("hugo")
    history = [
        {"plan": "free", "city": "Bern"},
        {"plan": "pro", "lastName": "Old"},
        {"city": None, "last_name": "New"},
        {"plan": "team"},
    ]
    for user, order in ((gina, [0, 1, 2, 3]), (hugo, [3, 1, 0, 2])):
        for index in order:
            at = in_the_past(0.5 - index / 10)
            shop.deliver([shop.event("identify", user, traits=history[index], timestamp=at)], importing=True)
    for user in (gina, hugo):
        shop.known(user)
        until(partial(_is_shown_with, shop, user, {"plan": "team", "last_name": "New"}), what=f"traits of {user}")


def _is_shown_with(shop: Shop, user: str, wanted: dict[str, Any]) -> bool:
    return {name: value for name, value in shop.profile(user)["traits"].items() if value is not None} == wanted


def test_ten_strangers_are_turned_away(shop: Shop) -> None:
    paths = ["/v1/customers", "/v1/segments", "/v1/journeys", "/v1/loyalty/summary", "/v1/tickets", "/v1/webhooks"]
    for path in [*paths, "/v1/merges", "/v1/sources", "/v1/api-keys", "/v1/me"]:
        for headers in ({}, {"Authorization": "Bearer psk_no_such"}, {"Authorization": "Basic eDo="}):
            answer = shop.http.get(path, headers=headers)
            assert answer.status_code == 401, f"{path} {headers}: {answer.status_code}"
            assert answer.headers["content-type"] == "application/problem+json"


def test_the_document_is_one_and_names_every_service(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations))
    named = {operation.split("_", 1)[0] for operation in operations}
    assert named >= {"identity", "profile", "segments", "campaigns", "loyalty", "tickets", "integrations", "gateway"}
    assert shop.http.get("/asyncapi.json").json()["asyncapi"].startswith("3.")
    assert shop.http.get("/healthz").status_code == 200
