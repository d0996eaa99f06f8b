"""Endpoints over HTTP: made, changed, rotated, refused."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.web.cursors import encode_cursor

GOOD = {"url": "http://127.0.0.1:9/hook", "event_types": ["loyalty.*"]}


async def make(client: httpx.AsyncClient, **changes: object) -> httpx.Response:
    return await client.post("/v1/webhooks", json={**GOOD, **changes})


async def test_the_secret_is_shown_once(client: httpx.AsyncClient) -> None:
    made = await make(client, description="points")
    assert made.status_code == 201
    body = made.json()
    assert body["secret"].startswith("whsec_")
    shown = (await client.get(f"/v1/webhooks/{body['id']}")).json()
    assert "secret" not in shown
    assert (shown["event_types"], shown["disabled"], shown["description"]) == (["loyalty.*"], False, "points")
    listed = (await client.get("/v1/webhooks")).json()["items"]
    assert [item["id"] for item in listed] == [body["id"]]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": "ftp://127.0.0.1/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://user:pw@127.0.0.1/"}, "/url"),
        ({"url": 7}, "/url"),
        ({"url": "x" * 3000}, "/url"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["no such event"]}, "/event_types/0"),
        ({"event_types": ["nobody.says.this.v1"]}, "/event_types/0"),
        ({"event_types": "loyalty.*"}, "/event_types"),
        ({"event_types": ["loyalty.*", "integrations.*"]}, "/event_types/1"),
        ({"event_types": ["integrations.webhook.disabled.v1"]}, "/event_types/0"),
        ({"event_types": ["integrations.erasure.completed.v1"]}, "/event_types/0"),
        ({"description": "x" * 501}, "/description"),
        ({"description": "a\x00b"}, "/description"),
        ({"url": "https://a..b/"}, "/url"),
        ({"url": f"https://{'a' * 64}.com/"}, "/url"),
        ({"secret": "mine"}, "/secret"),
        ({"fields": ["no.such"]}, "/fields/0"),
        ({"fields": ["email", "**"]}, "/fields/1"),
        ({"fields": "email"}, "/fields"),
        ({"fields": ["email"] * 51}, "/fields"),
    ],
)
async def test_bad_input_names_the_field(client: httpx.AsyncClient, changes: dict[str, object], pointer: str) -> None:
    refused = await make(client, **changes)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_a_change_must_have_seen_the_last_one(client: httpx.AsyncClient) -> None:
    made = await make(client)
    url = f"/v1/webhooks/{made.json()['id']}"
    assert (await client.patch(url, json={"disabled": True})).status_code == 428
    changed = await client.patch(url, json={"disabled": True}, headers={"If-Match": made.headers["etag"]})
    assert changed.json()["disabled_reason"] == "by request"
    assert (await client.patch(url, json={}, headers={"If-Match": made.headers["etag"]})).status_code == 412
    enabled = await client.patch(url, json={"disabled": False}, headers={"If-Match": changed.headers["etag"]})
    assert (enabled.json()["disabled"], enabled.json()["disabled_reason"]) == (False, None)
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    nothing = f"/v1/webhooks/{uuid4()}"
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/attempts"),
        ("GET", "/messages"),
        ("POST", f"/messages/{uuid4()}/resend"),
    ):
        answer = await client.request(method, nothing + path)
        assert answer.status_code == 404, path
    made = (await make(client)).json()["id"]
    assert (await client.post(f"/v1/webhooks/{made}/messages/{uuid4()}/resend")).status_code == 404
    assert (await client.post(f"/v1/webhooks/{made}/recover", json={"since": "2026-01-01T00:00:00"})).status_code == 422
    for since in ("9999-12-31T23:59:59-23:00", "yesterday"):
        assert (await client.post(f"/v1/webhooks/{made}/recover", json={"since": since})).status_code == 422
    far = encode_cursor([10**30])
    assert (await client.get(f"/v1/webhooks/{made}/attempts?cursor={far}")).status_code == 400


async def test_what_is_sent_by_hand_is_on_record(client: httpx.AsyncClient, session: Any) -> None:
    url = f"/v1/webhooks/{(await make(client)).json()['id']}"
    assert (await client.post(f"{url}/test")).status_code == 202
    [message] = (await client.get(f"{url}/messages")).json()["items"]
    assert (await client.post(f"{url}/messages/{message['id']}/resend")).status_code == 202
    since = "2026-01-01T00:00:00Z"
    assert (await client.post(f"{url}/recover", json={"since": since})).json() == {"queued": 1}
    rows = (await session.execute(text("SELECT action, detail FROM audit ORDER BY id"))).all()
    assert [row.action for row in rows] == [
        "webhook.created", "webhook.tested", "webhook.message_resent", "webhook.recovered",
    ]  # fmt: skip
    assert rows[1].detail == rows[2].detail == {"message_id": message["id"]}
    assert rows[3].detail["queued"] == 1
