"""Consent: what was said last holds, under whichever identifier; texts and evidence are kept; customers choose."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.profile.consents.service import version_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SEED = text("""
    INSERT INTO consent_purpose (key, position, labels, channels, legal_basis, separate, cross_border, valid_days)
    VALUES
      ('marketing', 0, '{"en": "News and offers", "zh": "营销信息"}', '{email,sms}', 'consent', false, false, NULL),
      ('analytics', 1, '{"en": "Statistics"}', '{}', 'consent', false, false, 30),
      ('cross_border', 2, '{"en": "Data go abroad", "zh": "信息出境"}', '{}', 'consent', true, true, NULL)
    ON CONFLICT (key) DO UPDATE
    SET labels = excluded.labels, channels = excluded.channels, valid_days = excluded.valid_days""")


@pytest.fixture(autouse=True)
async def purposes(session: WriteSession) -> None:
    await session.execute(SEED)


@pytest.fixture
async def ada(assign: Callable[..., Awaitable[None]]) -> UUID:
    via = uuid7()
    await assign(via, via, version=1)
    return via


@pytest.fixture
def mine(client: httpx.AsyncClient, token: Callable[..., str], ada: UUID) -> Callable[..., Awaitable[Any]]:
    """`await mine("PUT", {…})`: the customer's own preference centre."""

    async def asked(method: str = "GET", body: Any = None, via: UUID | None = None, **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {token(via=via or ada)}", "User-Agent": "app/7"}
        return await client.request(method, "/v1/me/consents", json=body, headers=headers, params=params)

    return asked


def said(purpose: str, *, given: bool, at: datetime, via: UUID, **more: Any) -> Any:
    name = "Consent Given" if given else "Consent Withdrawn"
    return tracked(name, {"purpose": purpose, **more}, at=at, via=via)


async def told(session: WriteSession) -> list[dict[str, Any]]:
    rows = await session.execute(
        text("SELECT body FROM outbox WHERE subject = 'profile.consents.changed.v1' ORDER BY id")
    )
    return [item for body in rows.scalars() for item in json.loads(bytes(body))["statements"]]


async def holds(client: httpx.AsyncClient, customer: UUID) -> dict[tuple[str, str], str]:
    answer = await client.get(f"/v1/customers/{customer}/consents")
    assert answer.status_code == 200, answer.text
    return {(item["purpose"], item["channel"]): item["state"] for item in answer.json()["items"]}


async def test_the_preference_centre_shows_every_purpose_and_keeps_what_is_chosen(
    mine: Any, client: httpx.AsyncClient, ada: UUID, session: WriteSession
) -> None:
    before = {row["purpose"]: row for row in (await mine(locale="zh")).json()["items"]}
    assert before["marketing"]["label"] == "营销信息"
    assert before["analytics"]["label"] == "Statistics", "English where there is no other"
    assert [row["channel"] for row in before["marketing"]["channels"]] == ["email", "sms"]
    assert {row["state"] for row in before["marketing"]["channels"]} == {None}
    answer = await mine("PUT", {"choices": [{"purpose": "marketing", "channel": "email", "granted": True}]})
    assert answer.status_code == 200, answer.text
    after = {row["purpose"]: row for row in answer.json()["items"]}
    assert {row["channel"]: row["state"] for row in after["marketing"]["channels"]} == {"email": "given", "sms": None}
    answer = await mine("PUT", {"choices": [{"purpose": "marketing", "granted": False}]})
    channels = next(row for row in answer.json()["items"] if row["purpose"] == "marketing")["channels"]
    assert {row["state"] for row in channels} == {"withdrawn"}, "what is said of all channels holds for each"
    history = (await client.get(f"/v1/customers/{ada}/consents/history")).json()["items"]
    assert [(row["state"], row["method"], row["evidence"]["user_agent"]) for row in history] == [
        ("withdrawn", "preference_centre", "app/7"),
        ("given", "preference_centre", "app/7"),
    ]
    assert [item["state"] for item in await told(session)] == ["given", "withdrawn"]


async def test_the_newest_of_all_identifiers_wins_and_of_one_instant_the_stricter(
    hear: Any, assign: Any, client: httpx.AsyncClient
) -> None:
    one, other = uuid7(), uuid7()
    await hear(
        said("marketing", given=True, at=NOON + timedelta(hours=1), via=one, channel="email"),
        said("marketing", given=False, at=NOON, via=other, channel="email"),
        said("analytics", given=False, at=NOON, via=one),
        said("analytics", given=True, at=NOON, via=other),
    )
    assert await holds(client, other) == {("marketing", "email"): "withdrawn", ("analytics", "*"): "expired"}
    await assign(one, other, version=2)
    assert await holds(client, other) == {("marketing", "email"): "given", ("analytics", "*"): "withdrawn"}
    await assign(other, other, version=3)
    assert await holds(client, other) == {("marketing", "email"): "withdrawn", ("analytics", "*"): "expired"}


async def test_a_repeat_and_a_late_statement_change_nothing(
    hear: Any, client: httpx.AsyncClient, session: WriteSession
) -> None:
    via = uuid7()
    event = said("marketing", given=False, at=NOON, via=via)
    await hear(event)
    await hear(event)
    await hear(said("marketing", given=True, at=NOON - timedelta(days=1), via=via))
    assert await holds(client, via) == {("marketing", "*"): "withdrawn"}
    versions = {item["state"]: item["version"] for item in await told(session)}
    assert versions["withdrawn"] > versions["given"]
    assert version_of(NOON, "withdrawn") > version_of(NOON, "given")


async def test_what_consent_managers_of_sdks_say_is_taken_for_our_purposes(
    hear: Any, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    event = tracked("Segment Consent Preference Updated", at=datetime.now(UTC), via=via)
    body = {
        "type": "track", "event": event.name, "messageId": event.message_id,
        "context": {"ip": "203.0.113.9", "consent": {
            "categoryPreferences": {"Advertising": True, "Analytics": False, "Unheard": True, "odd": "yes"}}},
    }  # fmt: skip
    await hear(type(event)(**{**{name: getattr(event, name) for name in event.__struct_fields__}, "body": _raw(body)}))
    assert await holds(client, via) == {("marketing", "*"): "given", ("analytics", "*"): "withdrawn"}


def _raw(body: dict[str, Any]) -> Any:
    return msgspec.Raw(msgspec.json.encode(body))


async def test_a_purpose_that_needs_a_consent_of_its_own_gets_it_with_its_text(
    mine: Any, client: httpx.AsyncClient
) -> None:
    choice = {"purpose": "cross_border", "granted": True}
    refused = await mine("PUT", {"choices": [choice]})
    assert (refused.status_code, refused.json()["code"]) == (422, "separate_consent_required")
    body = {"purpose": "cross_border", "locale": "zh", "title": "个人信息出境", "body": "数据将传输至新加坡。"}
    made = await client.post("/v1/consent-texts", json=body, headers={"Idempotency-Key": "t1"})
    assert (made.status_code, made.json()["version"]) == (201, 1)
    again = await client.post("/v1/consent-texts", json=body, headers={"Idempotency-Key": "t2"})
    assert (again.json()["version"], again.json()["hash"]) == (2, made.json()["hash"])
    unknown = await mine("PUT", {"choices": [{**choice, "separate": True, "text_locale": "zh", "text_version": 9}]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_text")
    given = await mine(
        "PUT", {"choices": [{**choice, "separate": True, "text_locale": "zh", "text_version": 2}]}, locale="zh"
    )
    offer = next(row for row in given.json()["items"] if row["purpose"] == "cross_border")
    assert (offer["text"]["version"], offer["cross_border"], offer["separate"]) == (2, True, True)
    assert offer["channels"][0]["text_hash"] == made.json()["hash"]
    withdrawn = await mine("PUT", {"choices": [{"purpose": "cross_border", "granted": False}]})
    assert withdrawn.status_code == 200, "to withdraw is as easy as can be"


async def test_staff_write_down_what_was_said_with_evidence(
    client: httpx.AsyncClient, token: Any, ada: UUID, session: WriteSession
) -> None:
    body = {
        "choices": [{"purpose": "marketing", "channel": "sms", "granted": False}], "at": "2026-05-01T10:00:00Z",
        "evidence": {"ip": "203.0.113.9", "note": "said so on the phone"},
    }  # fmt: skip
    made = await client.post(f"/v1/customers/{ada}/consents", json=body, headers={"Idempotency-Key": "c1"})
    assert made.status_code == 201, made.text
    future = {**body, "at": "2999-01-01T00:00:00Z"}
    late = await client.post(f"/v1/customers/{ada}/consents", json=future, headers={"Idempotency-Key": "c2"})
    assert (late.status_code, late.json()["code"]) == (422, "in_future")
    masked = {"Authorization": f"Bearer {token('privacy:read', fields=())}"}
    (row,) = (await client.get(f"/v1/customers/{ada}/consents/history", headers=masked)).json()["items"]
    assert "203.0.113.9" not in json.dumps(row)
    assert "phone" not in row["evidence"]["note"]
    assert (await session.execute(text("SELECT action FROM audit"))).scalars().all()[-1] == "consents.recorded"


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"purpose": "nonsense", "granted": True}, "unknown_purpose"),
        ({"purpose": "analytics", "channel": "email", "granted": True}, "unknown_channel"),
    ],
    ids=["purpose", "channel"],
)
async def test_what_there_is_not_is_refused(mine: Any, choice: dict[str, Any], code: str) -> None:
    refused = await mine("PUT", {"choices": [choice]})
    assert (refused.status_code, refused.json()["code"]) == (422, code)


async def test_a_purpose_is_defined_once_and_changed_with_its_version(client: httpx.AsyncClient) -> None:
    body = {"labels": {"en": "Surveys", "zh": "问卷调查"}, "channels": ["email"], "valid_days": 365}
    made = await client.put("/v1/consent-purposes/surveys", json=body, headers={"If-None-Match": "*"})
    assert (made.status_code, made.headers["ETag"]) == (200, '"1"'), made.text
    stale = await client.put("/v1/consent-purposes/surveys", json=body, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert (await client.put("/v1/consent-purposes/surveys", json=body)).status_code == 428
    changed = await client.put(
        "/v1/consent-purposes/surveys", json={**body, "valid_days": None}, headers={"If-Match": '"1"'}
    )
    assert changed.json()["version"] == 2


async def test_a_clock_that_is_ahead_does_not_outlive_a_withdrawal(
    mine: Any, hear: Any, client: httpx.AsyncClient, ada: UUID
) -> None:
    now = datetime.now(UTC)
    event = tracked("Consent Given", {"purpose": "marketing"}, at=now + timedelta(days=300), via=ada)
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    await hear(type(event)(**{**fields, "received_at": now}))
    assert await holds(client, ada) == {("marketing", "*"): "given"}
    (shown,) = (await client.get(f"/v1/customers/{ada}")).json()["consents"]
    assert (shown["purpose"], shown["channel"], shown["state"]) == ("marketing", "*", "given")
    await mine("PUT", {"choices": [{"purpose": "marketing", "granted": False}]})
    assert await holds(client, ada) == {("marketing", "*"): "withdrawn"}


async def test_an_event_gives_no_consent_that_must_be_asked_for_by_itself(
    hear: Any, client: httpx.AsyncClient, ada: UUID
) -> None:
    body = {"purpose": "cross_border", "locale": "zh", "title": "个人信息出境", "body": "数据将传输至新加坡。"}
    made = await client.post("/v1/consent-texts", json=body, headers={"Idempotency-Key": "t1"})
    shown = {"text_locale": "zh", "text_version": 1}
    cases: tuple[dict[str, Any], ...] = ({}, {"separate": True}, shown, {"separate": True, **shown, "text_version": 9})
    for number, more in enumerate(cases):
        await hear(said("cross_border", given=True, at=NOON + timedelta(hours=number), via=ada, **more))
    assert await holds(client, ada) == {}
    await hear(said("cross_border", given=True, at=NOON + timedelta(hours=5), via=ada, separate=True, **shown))
    assert await holds(client, ada) == {("cross_border", "*"): "given"}
    (row,) = (await client.get(f"/v1/customers/{ada}/consents/history")).json()["items"]
    assert row["text_hash"] == made.json()["hash"]
    await hear(said("cross_border", given=False, at=NOON + timedelta(hours=6), via=ada))
    assert await holds(client, ada) == {("cross_border", "*"): "withdrawn"}


@pytest.mark.parametrize(
    ("may", "granted"),
    [("plain", {("marketing", "*")}), ("separate", {("marketing", "*"), ("cross_border", "*")})],
    ids=["plain", "allowed"],
)
async def test_whoever_has_a_public_key_gives_no_consent_that_must_be_asked_for_by_itself(
    hear: Any, client: httpx.AsyncClient, ada: UUID, may: str, granted: set[tuple[str, str]]
) -> None:
    body = {"purpose": "cross_border", "locale": "zh", "title": "个人信息出境", "body": "数据将传输至新加坡。"}
    await client.post("/v1/consent-texts", json=body, headers={"Idempotency-Key": "t1"})
    for purpose in ("cross_border", "marketing"):
        properties = {"purpose": purpose, "separate": True, "text_locale": "zh", "text_version": 1}
        event = tracked("Consent Given", properties, at=NOON, via=ada)
        sent = {"type": "track", "event": event.name, "properties": properties, "context": {"clientConsent": may}}
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        await hear(type(event)(**{**fields, "body": _raw(sent)}))
    assert set(await holds(client, ada)) == granted
    rows = (await client.get(f"/v1/customers/{ada}/consents/history")).json()["items"]
    assert {row["evidence"]["client"] for row in rows} == {may}, "the evidence says that nobody was asked who they are"
    await hear(said("marketing", given=False, at=NOON + timedelta(hours=1), via=ada))
    assert (await holds(client, ada))[("marketing", "*")] == "withdrawn"


async def test_what_staff_write_down_goes_with_whom_they_named(
    client: httpx.AsyncClient, assign: Any, ada: UUID
) -> None:
    other = uuid7()
    await assign(ada, other, version=2)
    body = {"choices": [{"purpose": "marketing", "granted": False}], "evidence": {"note": "a letter"}}
    made = await client.post(f"/v1/customers/{other}/consents", json=body, headers={"Idempotency-Key": "c"})
    assert (made.status_code, made.json()["customer_id"]) == (201, str(ada))
    await assign(other, other, version=3)
    assert await holds(client, other) == {("marketing", "*"): "withdrawn"}
    assert await holds(client, ada) == {}


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800"], ids=["nul", "half"])
async def test_texts_that_no_database_holds_are_refused(client: httpx.AsyncClient, ada: UUID, bad: str) -> None:
    once = {"Idempotency-Key": "n", "Content-Type": "application/json"}
    for path, body in (
        ("/v1/consent-texts", {"purpose": "marketing", "locale": "en", "title": bad, "body": "b"}),
        (f"/v1/customers/{ada}/consents", {"choices": [{"purpose": "marketing", "granted": True}],
                                           "evidence": {"note": bad}}),
    ):  # fmt: skip
        answer = await client.post(path, content=json.dumps(body), headers={**once, "Idempotency-Key": path})
        assert answer.status_code in {400, 422}, answer.text
    labels = json.dumps({"labels": {"en": bad}})
    answer = await client.put("/v1/consent-purposes/x", content=labels, headers={**once, "If-None-Match": "*"})
    assert answer.status_code in {400, 422}, answer.text
