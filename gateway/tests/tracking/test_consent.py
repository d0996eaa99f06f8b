"""What a public key says of consent bears that it was one, whatever the page wrote; a back end is believed."""

from typing import Any

import httpx
import msgspec
import pytest

from perennial.gateway.testing import Send, Stored, track

GIVEN = {"event": "Consent Given", "properties": {"purpose": "cross_border"}}


@pytest.mark.parametrize(
    ("source", "events", "said"),
    [
        ({"kind": "client"}, {}, "plain"),
        ({"kind": "client"}, {"context": {"clientConsent": "separate", "locale": "zh"}}, "plain"),
        ({"kind": "client", "may_consent": True}, {"context": {"locale": "zh"}}, "separate"),
        ({"kind": "server"}, {"context": {"locale": "zh"}}, None),
    ],
    ids=["client", "forged", "allowed", "server"],
)
async def test_a_public_key_is_noted(
    admin: httpx.AsyncClient, send: Send, stored: Stored, source: Any, events: Any, said: str | None
) -> None:
    made = (await admin.post("/v1/sources", json={"name": "Web", **source})).json()
    assert made["may_consent"] is source.get("may_consent", False)
    answer = await send([track(**GIVEN, **events), track(messageId="m2")], auth=(made["write_keys"][0]["key"], ""))
    assert answer.status_code == 200
    given, viewed = [msgspec.json.decode(event.body) for event in await stored()]
    assert given.get("context", {}).get("clientConsent") == said
    assert given["properties"] == GIVEN["properties"]
    assert given.get("context", {}).get("locale") == events.get("context", {}).get("locale")
    assert "clientConsent" not in viewed.get("context", {})


@pytest.mark.parametrize(("kind", "accepted"), [("client", 0), ("server", 1)])
async def test_what_a_row_of_a_file_says_no_public_key_says(
    admin: httpx.AsyncClient, send: Send, stored: Stored, kind: str, accepted: int
) -> None:
    made = (await admin.post("/v1/sources", json={"name": "Web", "kind": kind, "may_import": True})).json()
    said = {"consents": [{"purpose": "cross_border", "granted": True, "separate": True}]}
    event = track(event="Customer Imported", properties=said, timestamp="2026-01-01T00:00:00Z")
    key, envelope = made["write_keys"][0]["key"], {"context": {"import": True}}
    await send([event, track(messageId="m2")], envelope=envelope, auth=(key, ""))
    assert [event.name for event in await stored()].count("Customer Imported") == accepted
