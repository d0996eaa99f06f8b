"""The matrix: every kind of principal on every route of the platform, as the table says and not otherwise."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.common.web.app import document
from perennial.gateway.edge import Edge
from perennial.gateway.main import SERVICE
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.permissions import CUSTOMER, KNOWN, PUBLIC, ROLES, RULES, SCOPES, STAFF, WRITE_KEY, scopes_of
from perennial.gateway.principals.accounts.service import ALMIGHTY
from perennial.gateway.principals.testing import bearer, hire
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import API_KEY, Stored, track
from perennial.gateway.testing import WRITE_KEY as A_WRITE_KEY

METHODS = ("get", "put", "post", "patch", "delete")
AUTH_CODES = {
    "unauthenticated", "invalid_key", "key_expired", "session_over", "invalid_token", "token_expired", "token_revoked",
    "insufficient_scope", "customer_token_required", "staff_required", "no_rule",
}  # fmt: skip
Route = tuple[str, str]


@dataclass
class Principal:
    """Somebody at the door: `kind` is one of the kinds of the table, or None for one who is nobody."""

    name: str
    headers: dict[str, str]
    kind: str | None = None
    scopes: frozenset[str] = frozenset()

    def status(self, rule: str) -> int | None:
        """What the table says of this one: 401, 403, or None for those who are let through."""
        if rule == PUBLIC:
            return None
        if self.kind is None:
            return 401
        if rule in {CUSTOMER, STAFF}:
            return None if self.kind == rule else 403
        if rule == KNOWN:
            return 403 if self.kind == CUSTOMER else None
        granted = all({scope, scope.split(":", maxsplit=1)[0] + ":*", "*"} & self.scopes for scope in rule.split())
        return None if granted and self.kind != CUSTOMER else 403


def operations(documents: Iterable[Mapping[str, Any]]) -> dict[Route, Mapping[str, Any]]:
    return {
        (method.upper(), path): operation
        for found in documents
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def documented() -> dict[Route, Mapping[str, Any]]:
    return operations([document(SERVICE), *read_snapshots().values()])


async def test_no_route_is_without_a_rule_and_no_rule_without_a_route(
    http: httpx.AsyncClient, gateway: FastAPI
) -> None:
    merged = set(operations([(await http.get("/openapi.json")).json()]))
    assert merged - set(RULES) == set(), "documented routes that nobody has judged"
    served = {
        (method, str(getattr(route, "path", "")))
        for route in gateway.router.routes
        for method in getattr(route, "methods", None) or ()
        if method not in {"HEAD", "OPTIONS"}
    }
    assert served - set(RULES) == set(), "routes that are served and neither documented nor judged"
    assert set(RULES) - merged - served == set(), "rules of routes that do not exist"


def test_the_scopes_of_the_services_are_those_of_the_table() -> None:
    """A service checks its scope again: what it asks for is what the gateway asks for."""
    for route, operation in documented().items():
        rule = RULES.get(route, "no rule")
        asked = {scope for entry in operation.get("security", []) for held in entry.values() for scope in held}
        assert asked == set(scopes_of(rule)), (route, rule)
        assert (operation.get("security") == []) == (rule == PUBLIC), (route, rule)


def test_only_the_customers_own_routes_are_theirs() -> None:
    for (method, path), rule in RULES.items():
        assert (rule == CUSTOMER) == (path == "/v1/me" or path.startswith("/v1/me/")), (method, path)


def address(path: str) -> str:
    for name, value in (("{name}", "analyst"), ("{version}", "1"), ("{number}", "1")):
        path = path.replace(name, value)
    while "{" in path:
        path = path[: path.index("{")] + str(uuid4()) + path[path.index("}") + 1 :]
    return path


async def outcome(http: httpx.AsyncClient, route: Route, headers: dict[str, str]) -> int | None:
    answer = await http.request(route[0], address(route[1]), headers=headers)
    if answer.status_code not in {401, 403}:
        assert answer.status_code < 500 or answer.json()["code"] == "service_unavailable", (route, answer.text)
        return None
    body = answer.json()
    assert body["code"] in AUTH_CODES, (route, body)
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    elif body["code"] == "insufficient_scope" and scopes_of(RULES[route]) and "customer token" not in body["detail"]:
        assert any(scope in body["detail"] for scope in scopes_of(RULES[route])), "it names the scope"
    return answer.status_code


async def walk(http: httpx.AsyncClient, principals: Iterable[Principal]) -> None:
    wrong = [
        (principal.name, route, rule, principal.status(rule), found)
        for principal in principals
        for route, rule in RULES.items()
        if rule != WRITE_KEY and route[1].startswith("/v1/")
        and (found := await outcome(http, route, principal.headers)) != principal.status(rule)
    ]  # fmt: skip
    assert wrong == []


@pytest.fixture
def gateway_settings(gateway_settings: GatewaySettings) -> GatewaySettings:
    return gateway_settings.model_copy(update={"rate_per_address": 10**6, "rate_per_principal": 10**6})


async def key(admin: httpx.AsyncClient, *scopes: str, **extra: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/api-keys", json={"name": "matrix", "scopes": scopes, **extra})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_strangers(admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: Runtime) -> None:
    expired, revoked, minter = [await key(admin, "*") for _ in range(3)]
    mint = await http.post("/v1/customer-tokens", json={"customer_id": str(uuid4())}, headers=bearer(minter["key"]))
    for gone in (revoked, minter):
        await admin.delete(f"/v1/api-keys/{gone['id']}")
    async with live_runtime.database.write() as session:
        await session.execute(
            text("UPDATE api_key SET expires_at = :at WHERE id = :id"),
            {"id": expired["id"], "at": datetime.now(UTC) - timedelta(seconds=1)},
        )
    await edge.access.refresh()
    shown = {
        "a stranger": {},
        "garbage": bearer("garbage"),
        "a well-formed key that nobody issued": bearer(f"psk_{'a' * 12}_{'b' * 43}"),
        "a session that nobody opened": bearer(f"pss_{'a' * 12}_{'b' * 43}"),
        "a token that nobody signed": bearer("e30.e30.e30"),
        "an expired key": bearer(expired["key"]),
        "a revoked key": bearer(revoked["key"]),
        "a customer's token of a revoked key": bearer(mint.json()["token"]),
        "a write key as a bearer": bearer(A_WRITE_KEY),
        "a write key as a user": {"Authorization": "Basic d2tfdGVzdDo="},
        "a scheme of one's own": {"Authorization": f"Root {API_KEY}"},
        "an internal token": bearer(edge.tokens.internal(ALMIGHTY)),
    }
    await walk(http, [Principal(name, headers) for name, headers in shown.items()])


async def test_api_keys(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    resources = sorted({scope.split(":")[0] for scope in SCOPES})
    for scopes in (*([scope] for scope in sorted(SCOPES)), *([f"{name}:*"] for name in resources), ["*"]):
        made = await key(admin, *scopes, fields=["*"])  # with tokens:* one becomes whom one may see
        await walk(http, [Principal(f"a key for {scopes}", bearer(made["key"]), "api_key", frozenset(scopes))])


async def test_staff(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    for name, role in ROLES.items():
        member = await hire(admin, name, f"{name}@example.com")
        await walk(http, [Principal(name, member.headers, STAFF, role.scopes)])


async def test_a_session_before_its_password_was_changed(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = await admin.post("/v1/staff/accounts", json={"email": "x@example.com", "name": "x", "role": "owner"})
    login = {"email": "x@example.com", "password": made.json()["one_time_password"]}
    headers = bearer((await http.post("/v1/staff/sessions", json=login)).json()["token"])
    left = {("GET", "/v1/staff/me"), ("PUT", "/v1/staff/me/password"), ("DELETE", "/v1/staff/sessions/{session_id}")}
    for route, rule in RULES.items():
        if rule not in {PUBLIC, WRITE_KEY} and route not in left:
            assert (await http.request(route[0], address(route[1]), headers=headers)).status_code == 403, route


async def test_customers(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    minted = await admin.post("/v1/customer-tokens", json={"customer_id": str(uuid4())})
    await walk(http, [Principal("a customer", bearer(minted.json()["token"]), CUSTOMER)])


async def test_only_a_write_key_tracks(admin: httpx.AsyncClient, http: httpx.AsyncClient, stored: Stored) -> None:
    minted = await admin.post("/v1/customer-tokens", json={"customer_id": str(uuid4())})
    for headers in (bearer(API_KEY), bearer(minted.json()["token"]), {}):
        for (method, path), rule in RULES.items():
            if rule == WRITE_KEY:
                said = {"batch": [track()], **track()}
                answer = await http.request(method, path.replace("{key}", "unknown"), headers=headers, json=said)
                assert 400 <= answer.status_code < 500, (method, path)
    assert await stored() == []


async def test_a_route_without_a_rule_is_closed(admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await admin.get("/v1/segments")).json()["code"] == "service_unavailable"
    monkeypatch.delitem(RULES, ("GET", "/v1/segments"))
    assert (await admin.get("/v1/segments")).status_code == 403
