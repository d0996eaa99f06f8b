"""What files say of tags and consents: with their lineage and evidence, late and repeated as everything else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.imported import EVENT
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked

Hear = Callable[..., Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PURPOSES = text("""
    INSERT INTO consent_purpose (key, position, labels, channels, legal_basis, separate, cross_border, valid_days)
    VALUES ('marketing', 0, '{"en": "News"}', '{email,sms}', 'consent', false, false, NULL),
           ('cross_border', 2, '{"en": "Abroad"}', '{}', 'consent', true, true, 30)
    ON CONFLICT (key) DO UPDATE SET labels = excluded.labels, channels = excluded.channels,
        valid_days = excluded.valid_days""")


def row(via: UUID, at: datetime = NOON, **said: Any) -> Any:
    return tracked(EVENT, {"import": "file-1", **said}, via=via, at=at, live=False)


@pytest.fixture(autouse=True)
async def tags(client: httpx.AsyncClient, runtime: Runtime) -> None:
    async with runtime.database.write() as session:
        await session.execute(PURPOSES)
    for key, kind in (("press", "manual"), ("vip", "imported")):
        body = {"key": key, "label": {"en": key}, "dimension": "attribute", "kind": kind}
        made = await client.post("/v1/tags", json={**body, **({"lasts": "P30D"} if key == "vip" else {})})
        assert made.status_code == 201, made.text


async def shown(client: httpx.AsyncClient, via: UUID) -> dict[str, Any]:
    answer = await client.get(f"/v1/customers/{via}/tags")
    return {item["key"]: item for item in answer.json()["items"] if item["origin"] == "own"}


async def test_tags_come_with_their_lineage_and_the_newest_counts(
    hear: Hear, derive: Any, client: httpx.AsyncClient, session: WriteSession
) -> None:
    via, now = uuid7(), datetime.now(UTC)
    first = row(via, now - timedelta(days=1), tags={"press": True, "vip": True, "unheard": True, "odd": "yes"})
    await hear(first)
    await hear(first, row(via, now - timedelta(days=2), tags={"press": False}))
    await derive()
    found = await shown(client, via)
    assert set(found) == {"press", "vip"}
    assert (found["press"]["by"], found["press"]["why"]) == ("source:shop", "import file-1")
    assert datetime.fromisoformat(found["vip"]["expires_at"]) == now + timedelta(days=29)
    origins = (await session.execute(text("SELECT DISTINCT origin FROM tag_assignment"))).scalars().all()
    assert origins == ["import"]
    await hear(row(via, now, tags={"press": False}), row(via, now - timedelta(hours=1), tags={"press": True}))
    await derive()
    assert set(await shown(client, via)) == {"vip"}


async def test_consents_come_with_when_and_how(hear: Hear, client: httpx.AsyncClient) -> None:
    via = uuid7()
    body = {"purpose": "cross_border", "locale": "zh", "title": "个人信息出境", "body": "数据将传输至新加坡。"}
    await client.post("/v1/consent-texts", json=body, headers={"Idempotency-Key": "t"})
    given = {"purpose": "marketing", "channel": "email", "granted": True, "at": "2024-05-01T00:00:00+00:00"}
    abroad = {"purpose": "cross_border", "granted": True}
    alone = {"separate": True, "text_locale": "zh", "text_version": 1}
    await hear(
        row(via, consents=[{**given, "evidence": "form 7"}, abroad, {"purpose": "nonsense", "granted": True}, 7]),
        row(via, consents=[{"purpose": "marketing", "channel": "fax", "granted": True}, {**given, "granted": "yes"}]),
    )
    history = (await client.get(f"/v1/customers/{via}/consents/history")).json()["items"]
    [said] = history
    assert (said["state"], said["at"][:10], said["method"], said["source"]) == ("given", "2024-05-01", "import", "shop")
    assert (said["evidence"]["reference"], said["evidence"]["import"]) == ("form 7", "file-1")
    await hear(row(via, datetime.now(UTC), consents=[{**abroad, **alone}]))
    await hear(row(via, datetime.now(UTC), consents=[{**given, "text_locale": "zh", "text_version": -(10**20)}]))
    held = {one["purpose"]: one for one in (await client.get(f"/v1/customers/{via}/consents")).json()["items"]}
    assert held["cross_border"]["state"] == "given"
    assert held["cross_border"]["text_hash"] is not None
    later = row(via, NOON, consents=[{**given, "granted": False, "at": "2999-01-01T00:00:00Z"}])
    await hear(later)
    held = {one["purpose"]: one for one in (await client.get(f"/v1/customers/{via}/consents")).json()["items"]}
    assert held["marketing"]["state"] == "withdrawn"
    assert datetime.fromisoformat(held["marketing"]["at"]) < datetime.now(UTC), "nothing outlives what comes next"


async def test_it_is_told_what_a_file_may_bring(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    wanted = [
        {"purpose": "marketing", "channel": "sms"}, {"purpose": "nonsense"}, {"purpose": "marketing", "channel": "fax"},
        {"purpose": "cross_border"},
        {"purpose": "cross_border", "separate": True, "text_locale": "zh", "text_version": 9},
    ]  # fmt: skip
    answer = await client.post("/v1/customers/importable", json={"consents": wanted})
    assert answer.status_code == 200, answer.text
    assert {"press", "vip"} <= set(answer.json()["tags"])
    assert [(one["index"], one["code"]) for one in answer.json()["unfit"]] == [
        (1, "unknown_purpose"), (2, "unknown_channel"), (3, "separate_consent_required"), (4, "unknown_text"),
    ]  # fmt: skip
    bearer = {"Authorization": f"Bearer {token('customers:read')}"}
    assert (await client.post("/v1/customers/importable", json={}, headers=bearer)).status_code == 403
