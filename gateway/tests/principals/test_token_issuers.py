"""Customer tokens of the shop's own issuer, with its keys on a real server and identity behind a real socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from perennial.common.auth import Principal, verify
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.principals import jwks as keys_module
from perennial.gateway.principals.issuers import customers as customers_module
from perennial.gateway.principals.testing import bearer, problem, published
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started

ISSUER, AUDIENCE = "https://accounts.shop.example", "shop-app"
ANY = {"If-Match": "*"}


class World:
    """The shop's issuer, and the part of identity that the gateway asks."""

    def __init__(self, public_key: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = "first"
        self.vias: dict[str, UUID] = {"user_id:ann": uuid4(), "email:bob@shop.example": uuid4()}
        self.asked: list[str] = []
        self.status = 200
        self.url = ""
        self._public_key = public_key

    @property
    def document(self) -> dict[str, Any]:
        return {"keys": [published(self.key, self.kid, "ES256")]}

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300, **changes}
        return jwt.encode(made, self.key, "ES256", headers={"kid": self.kid})

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response(self.document)

    async def find(self, request: web.Request) -> web.Response:
        principal = verify(request.headers["Authorization"].removeprefix("Bearer "), self._public_key)
        assert principal == Principal("service", "gateway", frozenset({"identities:read"}))
        identifier = request.query["identifier"]
        self.asked.append(identifier)
        if self.status != 200:
            return web.json_response({}, status=self.status)
        if identifier not in self.vias:
            return web.json_response({}, status=404)
        return web.json_response({"id": str(self.vias[identifier]), "kind": "x", "customer_id": str(uuid4())})


@pytest.fixture
async def world(key_pair: tuple[str, str]) -> AsyncIterator[World]:
    made = World(key_pair[1])
    app = web.Application()
    app.add_routes([web.get("/jwks", made.jwks), web.get("/v1/identifiers", made.find)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def gateway_settings(gateway_settings: GatewaySettings, world: World) -> GatewaySettings:
    inside = [ip_network("127.0.0.0/8")]
    return gateway_settings.model_copy(update={"egress_allow_cidrs": inside, "services": {"identity": world.url}})


async def add(admin: httpx.AsyncClient, world: World, **changes: Any) -> httpx.Response:
    body = {"name": "Shop", "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{world.url}/jwks", **changes}
    return await admin.post(
        "/v1/token-issuers", json={name: value for name, value in body.items() if value is not None}
    )


async def let_in(http: httpx.AsyncClient, token: str) -> str:
    """The code of the answer; a service that is not configured comes after the door."""
    return str((await http.get("/v1/me", headers=bearer(token))).json()["code"])


IN = "service_unavailable"


async def test_a_token_is_its_customers(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World, edge: Edge
) -> None:
    assert await let_in(http, world.token()) == "invalid_token"
    assert (await add(admin, world)).status_code == 201
    shown = await edge.authenticator.shown(f"Bearer {world.token()}")
    via = world.vias["user_id:ann"]
    assert (shown.principal.kind, shown.principal.via, shown.principal.scopes) == ("customer", via, frozenset())
    assert await let_in(http, world.token()) == IN
    assert problem(await http.get("/v1/segments", headers=bearer(world.token()))) == (403, "insufficient_scope")
    assert world.asked == ["user_id:ann"], "what never changes is asked once"


async def test_another_claim_and_kind(admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World) -> None:
    await add(
        admin, world, claim="https://shop.example/mail", identifier_kind="email", jwks=world.document, jwks_url=None
    )
    assert await let_in(http, world.token(**{"https://shop.example/mail": "bob@shop.example"})) == IN
    odds: tuple[Any, ...] = (None, "", 1.5, True, [], {"a": 1}, "x" * 321, "a\nb")
    for odd in odds:
        assert await let_in(http, world.token(**{"https://shop.example/mail": odd})) == "invalid_token"
    assert world.asked == ["email:bob@shop.example"]


async def test_an_unknown_customer(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(admin, world)
    token = world.token(sub="carl")
    for _ in range(3):
        assert problem(await http.get("/v1/me", headers=bearer(token))) == (403, "unknown_customer")
    assert world.asked == ["user_id:carl"]
    world.vias["user_id:carl"] = uuid4()
    later = time.monotonic() + customers_module.UNKNOWN_SECONDS
    monkeypatch.setattr(customers_module.time, "monotonic", lambda: later)  # type: ignore[attr-defined]
    assert await let_in(http, token) == IN


async def test_identity_down(admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World) -> None:
    await add(admin, world)
    world.status = 500
    with capture_logs() as logs:
        answer = await http.get("/v1/me", headers=bearer(world.token()))
    assert problem(answer) == (503, "identity_unavailable")
    assert answer.headers["retry-after"]
    assert {"status": 500, "error": "ClientResponseError"}.items() <= logs[0].items()
    assert not any(secret in str(logs) for secret in ("ann", "identifier", "Bearer", "://"))
    world.status = 200
    assert await let_in(http, world.token()) == IN
    world.status = 500
    assert await let_in(http, world.token()) == IN


async def test_rotated_keys(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "RETRY_SECONDS", 0.0)
    await add(admin, world)
    assert await let_in(http, world.token()) == IN
    old = world.token(sub="ann", jti="old")
    world.key, world.kid = ec.generate_private_key(ec.SECP256R1()), "second"
    assert await let_in(http, world.token()) == IN
    assert await let_in(http, old) == "invalid_token"


async def test_changing_and_removing(admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World) -> None:
    made = (await add(admin, world)).json()
    path = f"/v1/token-issuers/{made['id']}"
    assert await let_in(http, world.token()) == IN
    changed = await admin.patch(path, json={"audience": "other"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert await let_in(http, world.token()) == "invalid_token"
    assert (await admin.patch(path, json={"audience": AUDIENCE}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.patch(path, json={"audience": AUDIENCE}, headers=ANY)).status_code == 200
    inline = await admin.patch(path, json={"jwks": world.document}, headers=ANY)
    assert (inline.json()["jwks"], inline.json()["jwks_url"]) == (world.document, None)
    assert await let_in(http, world.token()) == IN
    await admin.patch(path, json={"enabled": False}, headers=ANY)
    assert await let_in(http, world.token()) == "invalid_token"
    await admin.patch(path, json={"enabled": True}, headers=ANY)
    assert await let_in(http, world.token()) == IN
    assert [item["id"] for item in (await admin.get("/v1/token-issuers")).json()["items"]] == [made["id"]]
    assert (await admin.delete(path)).status_code == 204
    assert await let_in(http, world.token()) == "invalid_token"
    assert (await admin.get(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 404


async def test_old_tokens_are_refused_whatever_they_say(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, world: World
) -> None:
    await add(admin, world, max_age_seconds=600)
    now = int(time.time())
    assert await let_in(http, world.token(iat=now - 500, exp=now + 10**8)) == IN
    assert await let_in(http, world.token(iat=now - 700, exp=now + 10**8)) == "token_expired"
    assert await let_in(http, world.token(iat=None, exp=now + 10**8)) == "invalid_token"


async def test_two_at_once_add_one_issuer(admin: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(*(add(admin, world) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_who_speaks_for_others_here(
    admin: httpx.AsyncClient, world: World, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    assert problem(await add(admin, world, issuer="perennial-gateway")) == (422, "reserved_issuer")
    staffed = gateway_settings.model_copy(update={"oidc_issuer": "https://id.example", "oidc_client_id": "x"})
    async with (
        started(live_runtime, staffed) as other,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(other), base_url="http://x.test", headers=admin.headers
        ) as client,
    ):
        assert problem(await add(client, world, issuer="https://id.example")) == (422, "reserved_issuer")


BAD = [
    ({"issuer": None}, "issuer"),
    ({"issuer": ""}, "issuer"),
    ({"issuer": "a b"}, "issuer"),
    ({"audience": None}, "audience"),
    ({"jwks_url": None}, "jwks"),
    ({"jwks": {"keys": []}}, "jwks"),
    ({"jwks_url": None, "jwks": {"keys": []}}, "jwks"),
    ({"jwks_url": None, "jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "jwks"),
    ({"jwks_url": "ftp://shop.example/x"}, "jwks_url"),
    ({"jwks_url": "http://169.254.169.254/latest"}, "jwks_url"),
    ({"jwks_url": "https://user:pw@shop.example/"}, "jwks_url"),
    ({"jwks_url": "http://[::1]/"}, "jwks_url"),
    ({"jwks_url": "https://10.0.0.1/x"}, "jwks_url"),
    ({"algorithms": ["HS256"]}, "algorithms"),
    ({"algorithms": ["none"]}, "algorithms"),
    ({"algorithms": []}, "algorithms"),
    ({"identifier_kind": "anonymous_id"}, "identifier_kind"),
    ({"max_age_seconds": 10**9}, "max_age_seconds"),
    ({"trusted": True}, "trusted"),
]


@pytest.mark.parametrize(("changes", "field"), BAD)
async def test_bad_input_names_the_field(admin: httpx.AsyncClient, world: World, changes: Any, field: str) -> None:
    answer = await add(admin, world, **changes)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["message"]
