"""Staff of an OpenID provider, at the gateway's side; the whole flow with a real provider is in tests/e2e."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import ValidationError

from perennial.common.service import ServiceRuntime
from perennial.gateway.principals.testing import bearer, problem, published
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started


class Provider:
    """What a provider publishes."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.issuer = ""
        self.said: dict[str, Any] = {}

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        made = {"iss": self.issuer, "aud": "console", "sub": "ann", "iat": now, "exp": now + 300, **changes}
        return jwt.encode(made, self.key, "EdDSA", headers={"kid": "1"})

    async def discovery(self, _: web.Request) -> web.Response:
        made = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", "authorization_endpoint": "a"}
        return web.json_response({**made, "token_endpoint": "t", **self.said})

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [published(self.key, "1", "EdDSA")]})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = web.Application()
    app.add_routes([web.get("/.well-known/openid-configuration", made.discovery), web.get("/jwks", made.jwks)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def gateway_settings(gateway_settings: GatewaySettings, provider: Provider) -> GatewaySettings:
    roles = {"shop-analyst": "analyst", "shop-desk": "agent"}
    return gateway_settings.model_copy(
        update={"oidc_issuer": provider.issuer, "oidc_client_id": "console", "oidc_roles": roles}
    )


async def test_roles_add_up(http: httpx.AsyncClient, provider: Provider) -> None:
    for said, roles in ((["shop-analyst", "x", 1], ["analyst"]), ("shop-desk", ["agent"])):
        me = (await http.get("/v1/staff/me", headers=bearer(provider.token(roles=said)))).json()
        assert me["roles"] == roles
    me = (await http.get("/v1/staff/me", headers=bearer(provider.token(roles=["shop-analyst", "shop-desk"])))).json()
    assert {"segments:write", "tickets:write"} <= set(me["scopes"])
    assert (me["id"], me["fields"]) == ("oidc:ann", ["personal"])
    assert (await http.get("/v1/staff/sessions", headers=bearer(provider.token(roles="shop-desk")))).json()[
        "items"
    ] == []


@pytest.mark.parametrize("roles", [None, [], {}, "owner", ["owner"], [["shop-desk"]], 1, True])
async def test_nobody_without_a_role(http: httpx.AsyncClient, provider: Provider, roles: Any) -> None:
    answer = await http.get("/v1/staff/me", headers=bearer(provider.token(roles=roles)))
    assert problem(answer) == (403, "no_role")


async def test_the_claim_may_lie_deeper_or_have_dots_in_its_name(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, provider: Provider
) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("realm_access.roles", {"realm_access": {"roles": ["shop-desk"]}}),
        ("https://shop.example/roles", {"https://shop.example/roles": ["shop-desk"]}),
    ]
    for claim, said in cases:
        chosen = gateway_settings.model_copy(update={"oidc_role_claim": claim})
        async with started(live_runtime, chosen) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
                me = await http.get("/v1/staff/me", headers=bearer(provider.token(**said)))
                assert me.json()["roles"] == ["agent"]
                odd = await http.get("/v1/staff/me", headers=bearer(provider.token(realm_access="x")))
                assert problem(odd) == (403, "no_role")


async def test_refusals(http: httpx.AsyncClient, provider: Provider) -> None:
    now = int(time.time())
    for changes in ({"aud": "shop"}, {"azp": "shop"}, {"exp": now - 100}, {"nbf": now + 100}, {"sub": ""}):
        answer = await http.get("/v1/staff/me", headers=bearer(provider.token(roles="shop-desk", **changes)))
        assert answer.status_code == 401, changes
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_where_a_console_begins(http: httpx.AsyncClient, provider: Provider) -> None:
    found = (await http.get("/v1/staff/oidc")).json()
    assert (found["issuer"], found["client_id"], found["token_endpoint"]) == (provider.issuer, "console", "t")
    assert found["code_challenge_method"] == "S256"


async def test_a_provider_that_says_to_be_another(http: httpx.AsyncClient, provider: Provider) -> None:
    provider.said = {"issuer": "https://other.example"}
    assert problem(await http.get("/v1/staff/oidc")) == (503, "issuer_unavailable")
    answer = await http.get("/v1/staff/me", headers=bearer(provider.token(roles="shop-desk")))
    assert problem(answer) == (503, "issuer_unavailable")


async def test_without_a_provider(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, provider: Provider
) -> None:
    async with started(live_runtime, gateway_settings.model_copy(update={"oidc_issuer": None})) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
            assert problem(await http.get("/v1/staff/oidc")) == (404, "oidc_not_configured")
            answer = await http.get("/v1/staff/me", headers=bearer(provider.token(roles="shop-desk")))
            assert problem(answer) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"oidc_client_id": None}, "oidc_client_id"),
        ({"oidc_roles": {"x": "king"}}, "king"),
        ({"oidc_algorithms": ["HS256"]}, "oidc_algorithms"),
        ({"oidc_algorithms": []}, "oidc_algorithms"),
        ({"dev_owner_email": "a@example.com"}, "dev_owner"),
    ],
)
def test_settings_that_cannot_be(gateway_settings: GatewaySettings, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        GatewaySettings.model_validate({**gateway_settings.model_dump(), **changes})
