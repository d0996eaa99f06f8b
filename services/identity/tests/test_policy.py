"""The policy: data in versions, and what the next batch makes of it."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import Database, WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.web.app import create_app, no_lifespan
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.policy import service as policies
from perennial.identity.policy.rules import DEFAULT, compiled

PATH = "/v1/identity/policy"
Decided = Callable[..., Awaitable[Any]]


async def shown(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    return {name: answer.json()[name] for name in ("kinds", "approve_from")}


def kind(policy: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(rule for rule in policy["kinds"] if rule["kind"] == name)
    return found


async def put(client: httpx.AsyncClient, policy: dict[str, Any], seen: str = "*") -> httpx.Response:
    return await client.put(PATH, json=policy, headers={"If-Match": seen})


async def test_what_is_built_in_can_be_read_changed_and_looked_back_on(client: httpx.AsyncClient) -> None:
    policy = await shown(client)
    assert [rule["kind"] for rule in policy["kinds"]][:2] == ["user_id", "email"]
    assert kind(policy, "user_id")["limit"] == 1
    kind(policy, "email")["limit"] = 2
    assert (await client.put(PATH, json=policy)).status_code == 428
    assert (await put(client, policy, '"7"')).status_code == 412
    first = await put(client, policy, '"0"')
    assert (first.status_code, first.json()["version"], first.json()["created_by"]) == (200, 1, "api_key:tester")
    assert (await put(client, policy, '"0"')).status_code == 412
    assert await shown(client) == policy
    versions = (await client.get(f"{PATH}/versions", params={"limit": 1})).json()
    assert [item["version"] for item in versions["items"]] == [1]
    rest = (await client.get(f"{PATH}/versions", params={"cursor": versions["next_cursor"]})).json()
    assert [(item["version"], item["created_by"]) for item in rest["items"]] == [(0, None)]


async def test_reading_is_not_changing(client: httpx.AsyncClient, token: Any) -> None:
    headers = {"Authorization": f"Bearer {token('identities:read', 'identities:write')}", "If-Match": "*"}
    assert (await client.put(PATH, json=await shown(client), headers=headers)).status_code == 403


def _without(policy: dict[str, Any]) -> None:
    policy["kinds"].pop()


def _twice(policy: dict[str, Any]) -> None:
    policy["kinds"][-1] = policy["kinds"][-2]


def _not_first(policy: dict[str, Any]) -> None:
    policy["kinds"].reverse()


def _two_names(policy: dict[str, Any]) -> None:
    policy["kinds"][0]["limit"] = 2


def _pattern(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["blocked_patterns"] = ["("]


def _backward(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["blocked_patterns"] = [r"(a)\1"]


def _window(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["window"] = "day"


def _limit(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["limit"] = 0


def _scope(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["kind"] = "email:crm"


def _no_scope(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["kind"] = "external_id:"


def _scoped_twice(policy: dict[str, Any]) -> None:
    policy["kinds"] += [{"kind": "external_id:crm", "limit": 1}, {"kind": "external_id:crm", "limit": 2}]


def _scoped_limit(policy: dict[str, Any]) -> None:
    policy["kinds"].append({"kind": "wechat_openid:wx1", "limit": 0})


def _scoped_user(policy: dict[str, Any]) -> None:
    policy["kinds"].append({"kind": "user_id:shop", "limit": 1})


def _unknown(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["colour"] = "red"


def _nul(policy: dict[str, Any]) -> None:
    policy["kinds"][1]["blocked_values"] = ["a\0b"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without, "anonymous_id is missing"),
        (_twice, "kinds/9/kind: push_token must be named once"),
        (_not_first, "kinds/0: user_id comes first"),
        (_two_names, "user_id"),
        (_pattern, "blocked_patterns"),
        (_backward, "blocked_patterns"),
        (_window, "window"),
        (_limit, "limit"),
        (_scope, "kinds/1/kind"),
        (_no_scope, "kinds/1/kind"),
        (_scoped_twice, "kinds/11/kind"),
        (_scoped_limit, "kinds/10/limit"),
        (_scoped_user, "kinds/10/kind"),
        (_unknown, "colour"),
        (_nul, "blocked_values"),
    ],
)
async def test_a_bad_policy_is_refused_by_name(
    client: httpx.AsyncClient, spoil: Callable[[dict[str, Any]], None], said: str
) -> None:
    policy = await shown(client)
    spoil(policy)
    answer = await put(client, policy)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    if said.startswith("kinds/"):
        assert answer.json()["errors"][0]["pointer"] == "/" + said.partition(":")[0]


def test_a_pattern_takes_linear_time() -> None:
    (pattern,) = compiled([r"(a+)+b"])
    started = time.process_time()
    assert pattern.fullmatch("a" * 320 + "c") is None
    assert time.process_time() - started < 0.1


async def test_the_next_batch_is_decided_by_it(
    live_runtime: Runtime, committed: Database, accept: Any, whose: Any
) -> None:
    """Without a restart, and customers that exist stay as they are."""
    decider = Decider(live_runtime)

    async def run(*events: Any) -> None:
        await decider.decide([Arrival.of(_accepted(event), number)[0] for number, event in enumerate(events, 1)])

    await run(accept(userId="ann", anonymousId="a1", traits={"email": "ann@x.cn"}))
    async with committed.write() as session:
        policy: Any = {"kinds": [_stored(name) for name in DEFAULT.rules], "approve_from": None}
        kind(policy, "anonymous_id")["unique"] = False
        kind(policy, "email")["blocked_patterns"] = [r"noreply@.*"]
        kind(policy, "email")["blocked_values"] = ["Shop@X.cn"]
        await policies.replace(session, policy, None, _staff())
    await run(
        accept(userId="bob", anonymousId="b1", traits={"email": "noreply@x.cn"}),
        accept(userId="eve", traits={"email": "shop@x.cn"}),
    )
    async with committed.read() as reading:
        found = await whose(
            reading, "user_id:ann", "anonymous_id:a1", "user_id:bob", "anonymous_id:b1", "email:ann@x.cn"
        )
        assert found["anonymous_id:a1"] == found["user_id:ann"] == found["email:ann@x.cn"]
        assert found["anonymous_id:b1"] != found["user_id:bob"]
        assert await whose(reading, "email:noreply@x.cn", "email:shop@x.cn") == {}


async def test_a_namespace_and_an_app_have_rules_of_their_own(
    live_runtime: Runtime, committed: Database, service: Service, settings: Any, token: Any, accept: Any, whose: Any
) -> None:
    """By the API, from the next batch on, for identifiers that are known since before the rule, too."""
    decider, numbers = Decider(live_runtime), iter(range(1, 100))

    async def run(user: str, *ids: tuple[str, str]) -> None:
        external = [{"type": kind, "id": value} for kind, value in ids]
        event = accept(userId=user, context={"externalIds": external})
        await decider.decide(Arrival.of(_accepted(event), next(numbers)))

    await run("ann", ("crm", "1"), ("erp", "1"), ("wechat_openid", "wx1:o1"))
    policy: Any = {"kinds": [_stored(name) for name in DEFAULT.rules], "approve_from": None}
    policy["kinds"] += [
        {"kind": "external_id:crm", "limit": 1, "blocked_values": ["0815"]},
        {"kind": "external_id:till", "limit": 5, "unique": False},
        {"kind": "wechat_openid:wx1", "limit": 1},
    ]
    app = create_app(service, settings, no_lifespan)
    app.state.runtime = live_runtime
    headers = {"Authorization": f"Bearer {token('identities:*')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://service", headers=headers
    ) as client:
        assert (await put(client, policy)).status_code == 200
    await run("ann", ("crm", "2"), ("erp", "2"), ("wechat_openid", "wx1:o2"), ("wechat_openid", "wx2:o2"))
    await run("ann", ("crm", "0815"), ("till", "7"))
    async with committed.read() as reading:
        found = await whose(
            reading, "user_id:ann", "external_id:crm:1", "external_id:crm:2", "external_id:erp:1", "external_id:erp:2",
            "external_id:crm:0815", "external_id:till:7", "wechat_openid:wx1:o1", "wechat_openid:wx1:o2",
            "wechat_openid:wx2:o2",
        )  # fmt: skip
        left_out = (await reading.execute(text("SELECT kind, reason FROM conflict ORDER BY kind"))).all()
    assert {name for name, customer in found.items() if customer == found["user_id:ann"]} == {
        "user_id:ann", "external_id:crm:1", "external_id:erp:1", "external_id:erp:2", "wechat_openid:wx1:o1",
        "wechat_openid:wx2:o2",
    }  # fmt: skip
    assert "external_id:crm:0815" not in found
    assert [tuple(row) for row in left_out] == [("external_id:crm", "limit"), ("wechat_openid:wx1", "limit")]


async def test_limits_within_a_window(
    session: WriteSession, decided: Decided, accept: Any, keys: Keys, whose: Any
) -> None:
    """Two e-mail addresses a month: the third of one month is left out, one of the next joins."""
    policy: Any = {"kinds": [_stored(name) for name in DEFAULT.rules], "approve_from": None}
    kind(policy, "email").update(limit=2, window="month")
    await policies.replace(session, policy, None, _staff())
    now = datetime.now(UTC)
    monthly = keys.under(await policies.in_force(session))
    for number, days in enumerate([60, 59, 58, 20], 1):
        event = accept(userId="ann", received=now - timedelta(days=days), traits={"email": f"ann{number}@x.cn"})
        await decide(session, Arrival.of(_accepted(event), number), monthly, now)
    found = await whose(session, "user_id:ann", *(f"email:ann{number}@x.cn" for number in range(1, 5)))
    with_ann = {name for name, customer in found.items() if customer == found["user_id:ann"]}
    assert with_ann == {"user_id:ann", "email:ann1@x.cn", "email:ann2@x.cn", "email:ann4@x.cn"}
    (rule,) = set((await session.execute(text("SELECT rule FROM map_change"))).scalars())
    assert rule == 1, "the history names the policy that decided"


async def test_a_risky_merge_waits_for_a_person(
    session: WriteSession, client: httpx.AsyncClient, accept: Any, keys: Keys
) -> None:
    policy: Any = {"kinds": [_stored(name) for name in DEFAULT.rules], "approve_from": 2}
    await policies.replace(session, policy, None, _staff())
    careful, now = keys.under(await policies.in_force(session)), datetime.now(UTC)
    events = [
        accept(userId="ann", traits={"email": "ann@x.cn"}),
        accept(anonymousId="a1", context={"device": {"id": "d1"}}),
        accept(userId="ann", anonymousId="a1"),
    ]
    for number, event in enumerate(events, 1):
        (last,) = await decide(session, Arrival.of(_accepted(event), number), careful, now)
    (conflict,) = (await client.get("/v1/conflicts", params={"reason": "approval"})).json()["items"]
    assert conflict["customer_id"] != str(last.customer) == conflict["against_customer_id"]
    assert conflict["count"] == 1


def _accepted(event: Any) -> Any:
    return EventsAccepted("shop", [event])


def _stored(name: str) -> dict[str, Any]:
    rule = DEFAULT.rules[name]
    return {
        "kind": name, "limit": rule.limit, "window": "ever", "unique": rule.unique, "shared_after": rule.shared_after,
        "blocked_values": [], "blocked_patterns": [],
    }  # fmt: skip


def _staff() -> Any:
    return Principal("staff", "ann", frozenset({"*"}))
