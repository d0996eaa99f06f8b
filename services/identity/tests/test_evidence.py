"""What a customer is made of, and why an identifier belongs to it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.identity import queries
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.decisions.sightings import Lately, Sightings
from perennial.identity.evidence import service

Decide = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def explain(client: httpx.AsyncClient, customer: UUID, identifier: str, status: int = 200) -> dict[str, Any]:
    answer = await client.get(f"/v1/customers/{customer}/explain", params={"identifier": identifier})
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def way(shown: dict[str, Any]) -> list[str]:
    """The values of a chain, in its order."""
    return [shown["founding"]["value"], *(step["to"]["value"] for step in shown["chain"])]


async def identity(client: httpx.AsyncClient, customer: UUID) -> dict[str, Any]:
    answer = await client.get(f"/v1/customers/{customer}/identity")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_the_chain_leads_from_the_founding_identifier_over_events_and_merges(
    client: httpx.AsyncClient, decided: Decide, accept: Any
) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    await decided(accept(anonymousId="a", traits={"email": "u@x.cn"}, message_id="signed-up"))
    [phone] = await decided(accept(traits={"phone": "+12025550123"}))
    await decided(accept(traits={"phone": "+12025550123", "email": "u@x.cn"}, message_id="met"))
    [device] = await decided(accept(context={"device": {"id": "d"}}))
    pair = [str(device.customer), str(visit.customer)]
    await client.post("/v1/merges", json={"customer_ids": pair, "reason": "she said so"})
    for customer in (visit.customer, phone.via, device.via):
        shown = await explain(client, customer, "phone:+12025550123")
        assert (shown["id"], way(shown)) == (str(visit.via), ["a", "u@x.cn", "+12025550123"])
    attached, merged = (step["evidence"] for step in shown["chain"])
    assert (attached["cause"], attached["merge_id"], attached["rule"]) == ("attached", None, 0)
    assert (merged["cause"], merged["message_id"], merged["source"], merged["undone_at"]) == (
        "merged", "met", "shop", None,
    )  # fmt: skip
    shown = await explain(client, visit.customer, "device_id:d")
    assert way(shown) == ["a", "d"]
    assert (shown["chain"][0]["evidence"]["reason"], shown["chain"][0]["evidence"]["by"]) == (
        "she said so", "api_key:tester",
    )  # fmt: skip
    assert (await explain(client, visit.customer, "anonymous_id:a"))["chain"] == []


async def test_all_in_one_pull_is_explained_the_same(client: httpx.AsyncClient, decided: Decide, accept: Any) -> None:
    events = await decided(
        accept(anonymousId="a"),
        accept(userId="u", context={"device": {"id": "d"}}),
        accept(userId="u", anonymousId="a"),
        accept(context={"device": {"id": "e"}}, traits={"phone": "+12025550123"}),
        accept(anonymousId="a", traits={"phone": "+12025550123"}),
    )
    assert way(await explain(client, events[0].via, "device_id:e")) == ["u", "a", "+12025550123", "e"]


async def test_what_left_explains_what_stayed(
    client: httpx.AsyncClient, decided: Decide, accept: Any, session: WriteSession
) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    await decided(accept(anonymousId="a", context={"device": {"id": "d"}}))
    await decided(accept(anonymousId="b", context={"device": {"id": "d"}}))
    device = (await session.execute(text("SELECT id FROM identifier WHERE kind = 'device_id'"))).scalar_one()
    body = {"customer_id": str(visit.customer), "identifiers": [str(device)], "reason": "the shop's own"}
    assert (await client.post("/v1/splits", json=body)).status_code == 201
    shown = await explain(client, visit.customer, "anonymous_id:b")
    assert way(shown) == ["a", "d", "b"]
    assert shown["chain"][0]["to"]["customer_id"] == str(device)
    graph = await identity(client, visit.customer)
    assert {item["value"] for item in graph["identifiers"]} == {"a", "b"}
    assert len(graph["edges"]) == 2


async def test_who_does_not_have_it_gets_404(client: httpx.AsyncClient, decided: Decide, accept: Any) -> None:
    [ann] = await decided(accept(userId="ann"))
    [bob] = await decided(accept(userId="bob"))
    assert "identifier" in (await explain(client, bob.customer, "user_id:ann", 404))["detail"]
    assert "identifier" in (await explain(client, bob.customer, "user_id:nobody", 404))["detail"]
    unknown = UUID("5180b943-09c4-431c-92eb-d176824adcad")
    assert "customer" in (await explain(client, unknown, "user_id:ann", 404))["detail"]
    await explain(client, ann.customer, "user", 400)
    await explain(client, ann.customer, "email:ann", 422)
    assert (await client.get(f"/v1/customers/{unknown}/identity")).status_code == 404


async def test_old_ids_answer_with_the_survivor_on_every_route(
    client: httpx.AsyncClient, decided: Decide, accept: Any, token: Any
) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    [known] = await decided(accept(userId="u"))
    [other] = await decided(accept(userId="w"))
    await decided(accept(userId="u", anonymousId="a"), accept(userId="w", anonymousId="a"))
    old, today = str(visit.via), str(known.via)
    assert (await identity(client, visit.via)) == (await identity(client, known.via))
    assert (await explain(client, visit.via, "anonymous_id:a"))["id"] == today
    items = (await client.get(f"/v1/customers/{old}/identifiers")).json()["items"]
    assert {item["customer_id"] for item in items} == {today}
    revealed = await client.post(f"/v1/customers/{old}/identifiers/reveal", json={"reason": "to call her"})
    assert revealed.json()["id"] == today
    for path in ("merges", "conflicts"):
        found = [(await client.get(f"/v1/{path}", params={"customer_id": one})).json()["items"] for one in (old, today)]
        assert found[0] == found[1]
        assert len(found[0]) == 1
    assert (await client.get("/v1/suggestions", params={"customer_id": old})).status_code == 200
    merged = await client.post("/v1/merges", json={"customer_ids": [old, str(other.via)], "reason": "x"})
    assert merged.json()["code"] == "two_user_ids"
    made = (await client.post("/v1/splits", json={"customer_id": old, "identifiers": [old], "reason": "x"})).json()
    assert (made["customer_id"], made["separated"]) == (today, old)
    for one in (old, today):
        assert (await client.get("/v1/splits", params={"customer_id": one})).json()["items"] == [made]


async def test_when_and_where_an_identifier_was_seen(client: httpx.AsyncClient, decided: Decide, accept: Any) -> None:
    def at(hours: float, **body: Any) -> Any:
        when = NOON + timedelta(hours=hours)
        return accept(at=when, received=when, **body)

    [first, _] = await decided(at(0, userId="u"), at(0.2, userId="u", anonymousId="a"))
    await decided(at(5, userId="u"), source="app")
    await decided(at(3, userId="u"), at(-2, userId="u"))
    graph = await identity(client, first.customer)
    user, visit = graph["identifiers"]
    assert [(one["source"], one["first_at"], one["last_at"]) for one in user["sources"]] == [
        ("shop", "2026-03-01T10:00:00Z", "2026-03-01T15:00:00Z"),
        ("app", "2026-03-01T17:00:00Z", "2026-03-01T17:00:00Z"),
    ]
    assert (user["first_seen"], user["last_seen"]) == ("2026-03-01T10:00:00Z", "2026-03-01T17:00:00Z")
    assert (visit["first_seen"], visit["version"], visit["shared"]) == ("2026-03-01T12:12:00Z", 1, False)
    [edge] = graph["edges"]
    assert (edge["through"], edge["joined"], graph["truncated"]) == (user["id"], visit["id"], False)


async def test_what_was_seen_is_written_once_an_hour_and_only_forgotten_when_it_is_committed(
    session: WriteSession, keys: Keys, accept: Any
) -> None:
    lately = Lately()

    async def seen(minutes: int, *, commit: bool = True) -> int:
        when = NOON + timedelta(minutes=minutes)
        sightings = Sightings(lately)
        arrivals = Arrival.of(EventsAccepted("shop", [accept(userId="u", at=when, received=when)]), minutes)
        await decide(session, arrivals, keys, datetime.now(UTC), sightings)
        if commit:
            sightings.committed()
        return len(sightings.news)

    assert [await seen(0, commit=False), await seen(1), await seen(30), await seen(59)] == [1, 1, 0, 0]
    assert [await seen(62), await seen(100), await seen(-61), await seen(0)] == [1, 0, 1, 0]
    small = Lately(most=1)
    for source in ("a", "b"):
        sightings = Sightings(small)
        await sightings.write(session, [(UUID(int=1), source, NOON)])
        sightings.committed()
    again = Sightings(small)
    await again.write(session, [(UUID(int=1), source, NOON) for source in ("a", "b")])
    assert [span.source for span in again.news] == ["a"]


async def test_values_are_masked_for_who_does_not_see_them(
    client: httpx.AsyncClient, decided: Decide, accept: Any, token: Any
) -> None:
    [event] = await decided(accept(userId="u", traits={"email": "zoe@post.example"}, message_id="zoe@post.example"))
    headers = {"Authorization": f"Bearer {token('identities:read', fields=())}"}
    for path, params in (("identity", {}), ("explain", {"identifier": "email:zoe@post.example"})):
        answer = await client.get(f"/v1/customers/{event.customer}/{path}", params=params, headers=headers)
        assert answer.status_code == 200
        assert "zoe@" not in answer.text
        assert "z****@post.example" in answer.text


names = st.sampled_from([f"{kind}{number}" for kind in "uemd" for number in range(4)])


def body(found: frozenset[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"context": {"externalIds": []}}
    kinds = {"u": "member_id", "e": "wechat_unionid", "m": "wechat_openid", "d": "device_id"}
    for name in sorted(found):
        made["context"]["externalIds"].append({"type": kinds[name[0]], "id": name})
    return made


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.frozensets(names, min_size=1, max_size=3), min_size=1, max_size=20), pull=st.integers(1, 8))
async def test_every_identifier_has_a_chain_whatever_the_order_and_the_pulls(
    session: WriteSession, keys: Keys, accept: Any, history: list[frozenset[str]], pull: int
) -> None:
    savepoint = await session.begin_nested()
    for start in range(0, len(history), pull):
        events = [accept(**body(found)) for found in history[start : start + pull]]
        await decide(session, Arrival.of(EventsAccepted("shop", events), start), keys, datetime.now(UTC))
    rows = await session.execute(text("SELECT via, customer_id FROM identity_map"))
    for via, customer in rows.all():
        vias = set(await queries.of_customer(session, via))
        steps = service.chain(await service.edges(session, vias), vias, customer, via)
        assert [customer, *(step[1] for step in steps)][-1] == via
        assert all({step[0], step[1]} == {step[2].through, step[2].joined} for step in steps)
        assert all(step[1] in vias for step in steps)
    await savepoint.rollback()
