"""Sensitive traits at rest: sealed in every table, opened for who reads, sealed again by a new key while serving."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from pydantic import SecretStr
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified, tracked
from perennial.common.vault import SealingSettings, vault_of
from perennial.profile.settings import ProfileSettings
from perennial.profile.traits import sealing
from perennial.profile.traits.sweeps.jobs import reseal

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
OLD, NEW = "22" * 32, "33" * 32
SECRETS = ("secret.person", "2025550123", "110101198706059876")
TRAITS = {
    "Email": "secret.person@example.com",
    "phone": "+12025550123",
    "idCard": "110101198706059876",
    "contacts": [{"kind": "work", "mail": "secret.person@work.example"}],
    "note": "call +12025550123",
    "number": 13987654321,
    "plan": "pro",
}
TABLES = text("""
    SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'""")


def hinting(via: UUID) -> ResolvedEvent:
    event = tracked("Signed Up", {"plan": "pro"}, via=via, at=NOON, message_id="hint")
    body = {"type": "track", "event": "Signed Up", "context": {"traits": TRAITS, "locale": "en"}}
    return msgspec.structs.replace(event, body=msgspec.Raw(msgspec.json.encode(body)))


async def clear_in(session: WriteSession, secrets: tuple[str, ...] = SECRETS) -> set[str]:
    """The tables in which one of the secrets can be read; facts on their way to the broker are not at rest."""
    found = set()
    for table in (await session.execute(TABLES)).scalars().all():
        dump = await session.execute(text(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" t"))
        readable = str(dump.scalar_one()).lower()
        if any(secret in readable or secret.encode().hex() in readable for secret in secrets):
            found.add(table)
    return found - {"outbox"}


async def test_a_dump_of_the_schema_shows_no_address_and_no_number_that_came_as_a_trait(
    hear: Hear, derive: Callable[[], Awaitable[None]], get: Show, client: httpx.AsyncClient, session: WriteSession
) -> None:
    via = uuid7()
    await hear(identified(TRAITS, via=via, at=NOON, message_id="said"), hinting(via))
    for key in ("email", "phone", "id_card"):
        await client.post("/v1/traits", json={"key": key, "label": {"en": key}, "pattern": "[0-9a-z@.+-]+"})
    await hear(identified({"phone": "SECRET.PERSON"}, via=via, at=NOON + timedelta(minutes=1), live=False))
    body = {"traits": {"email": "secret.person@new.example"}, "reason": "asked to"}
    edited = await client.patch(f"/v1/customers/{via}/traits", json=body, headers={"Idempotency-Key": "x"})
    assert edited.status_code == 200
    await derive()
    assert await clear_in(session) == set()
    [refused] = (await get("/v1/traits/refused"))["items"]
    assert refused["examples"] == ['"aaaaaa.aaaaaa"']


async def test_what_is_sealed_is_shown_as_it_was_sent(hear: Hear, get: Show, session: WriteSession) -> None:
    via = uuid7()
    await hear(identified(TRAITS, via=via, at=NOON, message_id="said"), hinting(via))
    assert await clear_in(session) == set()
    assert await clear_in(session, ("pro",)) >= {"trait", "event", "customer"}, "the dump is one"
    shown = (await get(f"/v1/customers/{via}"))["traits"]
    assert shown == {{"Email": "email", "idCard": "id_card"}.get(key, key): value for key, value in TRAITS.items()}
    assert (await get("/v1/events/said"))["body"]["traits"] == TRAITS
    hinted = (await get("/v1/events/hint"))["body"]
    assert hinted["context"] == {"traits": TRAITS, "locale": "en"}
    [listed] = (await get("/v1/customers"))["items"]
    assert listed["traits"] == shown


async def test_what_looks_sealed_is_sealed_and_comes_back_as_it_was_sent(hear: Hear, get: Show) -> None:
    via = uuid7()
    fake = {"$sealed": "AQ==", "via": str(via)}
    await hear(identified({"odd": fake}, via=via, at=NOON))
    assert (await get(f"/v1/customers/{via}"))["traits"] == {"odd": fake}


async def test_a_sealed_value_opens_only_where_it_was_sealed(settings: CommonSettings) -> None:
    vault = vault_of(SealingSettings.model_validate(settings.model_dump()))
    via = uuid7()
    value = msgspec.json.decode(sealing.seal(vault, via, "email", '"a@b.example"'))
    assert sealing.opened(vault, "email", value) == "a@b.example"
    for key, moved in (("phone", value), ("email", {**value, "via": str(uuid7())})):
        with pytest.raises(InvalidTag):
            sealing.opened(vault, key, moved)


@pytest.fixture
def turn(runtime: Runtime, settings: CommonSettings) -> Iterator[Callable[[str], None]]:
    """`turn("2:…,1:…")`: the ring of the whole process is another one."""
    before = runtime.database.info

    def turned(ring: str) -> None:
        made = ProfileSettings.model_validate(
            {**settings.model_dump(), "encryption_key": None, "encryption_keys": SecretStr(ring)}
        )
        runtime.settings = made
        runtime.database.info = {**before, "settings": made}

    yield turned
    runtime.settings, runtime.database.info = settings, before


async def rings(session: WriteSession) -> dict[str, set[int]]:
    """The keys that have sealed what is stored."""
    found = {}
    for name, query in (
        ("trait", "SELECT value FROM trait UNION ALL SELECT first_value FROM trait"),
        ("edit", "SELECT value FROM trait_edit UNION ALL SELECT before FROM trait_edit"),
        ("customer", "SELECT value FROM customer, jsonb_each(traits)"),
        ("event", "SELECT value FROM event, jsonb_each(coalesce(body -> 'traits', body #> '{context,traits}'))"),
    ):
        values = (await session.execute(text(query))).scalars()
        found[name] = {sealing.ring_of(value) for value in values if sealing.is_sealed(value)}
    return found


async def test_everything_is_sealed_again_and_can_be_read_all_the_time(
    hear: Hear, derive: Callable[[], Awaitable[None]], get: Show, client: httpx.AsyncClient,
    session: WriteSession, runtime: Runtime, turn: Callable[[str], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("perennial.profile.traits.sweeps.service.BATCH", 2)
    vias = [uuid7() for _ in range(5)]
    for number, via in enumerate(vias):
        await hear(identified(TRAITS, via=via, at=NOON, message_id=f"said-{number}"))
        await hear(identified({"email": f"{number}@example.com"}, via=via, at=NOON + timedelta(minutes=1)))
    await hear(hinting(vias[0]))
    body = {"traits": {"email": "by.hand@example.com"}, "reason": "asked to"}
    await client.patch(f"/v1/customers/{vias[0]}/traits", json=body, headers={"Idempotency-Key": "x"})
    before = await get("/v1/customers")
    assert set().union(*(await rings(session)).values()) == {1}
    turn(f"2:{NEW},1:{OLD}")
    assert (await get("/v1/customers"))["items"] == before["items"], "the old key still opens"
    await reseal(runtime)
    await derive()
    assert await rings(session) == {"trait": {2}, "edit": {2}, "customer": {2}, "event": {2}}
    turn(f"2:{NEW}")
    assert [item["traits"] for item in (await get("/v1/customers"))["items"]] == [
        item["traits"] for item in before["items"]
    ]
    assert (await get("/v1/events/hint"))["body"]["context"]["traits"] == TRAITS
    [edit] = (await get(f"/v1/customers/{vias[0]}/traits/email/history"))["items"]
    assert (edit["value"], edit["before"]) == ("by.hand@example.com", "0@example.com")


async def test_what_a_shop_calls_sensitive_is_sealed_behind_it_and_masked_at_once(
    hear: Hear, derive: Callable[[], Awaitable[None]], client: httpx.AsyncClient, get: Show,
    session: WriteSession, runtime: Runtime, token: Callable[..., str],
) -> None:  # fmt: skip
    via = uuid7()
    sent = {"plan": "Gryffindor", "nickName": "Wolpertinger"}
    await hear(identified(sent, via=via, at=NOON, message_id="said"))
    headers = {"Authorization": f"Bearer {token('customers:read', fields=['personal'])}"}
    seen = (await client.get(f"/v1/customers/{via}", headers=headers)).json()["traits"]
    assert seen == {"plan": "Gryffindor", "nick_name": "Wolpertinger"}
    for key in ("plan", "nick_name"):
        body = {"key": key, "label": {"en": key}, "sensitivity": "sensitive"}
        assert (await client.post("/v1/traits", json=body)).status_code == 201
    for path in (f"/v1/customers/{via}", "/v1/customers", "/v1/events/said"):
        masked = (await client.get(path, headers=headers)).text
        assert "olperting" not in masked, path
        assert "ryffin" not in masked, path
    await reseal(runtime)
    await derive()
    assert await clear_in(session, ("wolpertinger", "gryffindor")) == set()
    assert (await get("/v1/events/said"))["body"]["traits"] == sent
    change = {"label": {"en": "Plan"}, "sensitivity": "public"}
    await client.put("/v1/traits/plan", json=change, headers={"If-Match": "*"})
    await reseal(runtime)
    await derive()
    assert (await client.get(f"/v1/customers/{via}", headers=headers)).json()["traits"]["plan"] == "Gryffindor"


async def test_a_class_is_lowered_only_by_who_says_so(
    hear: Hear, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    via = uuid7()
    await hear(identified({"phone": "020 7946 0000 main desk", "motto": "be quick"}, via=via, at=NOON))
    headers = {"Authorization": f"Bearer {token('customers:read', fields=[])}"}

    async def seen() -> Any:
        return (await client.get(f"/v1/customers/{via}", headers=headers)).json()["traits"]

    assert await seen() == {"phone": "****", "motto": "****"}
    for key in ("phone", "motto"):
        body = {"key": key, "label": {"en": key}, "sensitivity": "public"}
        assert (await client.post("/v1/traits", json=body)).status_code == 422
        assert (await client.post("/v1/traits", json={**body, "sensitivity_lowered": True})).status_code == 201
    assert await seen() == {"phone": "020 7946 0000 main desk", "motto": "be quick"}
