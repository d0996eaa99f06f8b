"""Who gets in, on the running platform: strangers, staff of a real OpenID provider, customers of the shop's issuer."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from perennial.local.platform import Platform
from tests.e2e.openid import OpenIdProvider, sign_in
from tests.e2e.shop import Shop, until

WORDS = "a quiet grey harbour"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_stranger_walks_every_route(platform: Platform, shop: Shop) -> None:
    """Past the gateway, too: a service believes the gateway's token and nothing else."""
    document = shop.http.get("/openapi.json").json()
    services = [name for name in platform.processes() if name not in {"gateway", "postgres", "nats"}]
    seen = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in {"get", "put", "post", "patch", "delete"} or operation["security"] == []:
                continue
            url = path.replace("{", "").replace("}", "")
            answer = shop.http.request(method, url)
            keys = {name for entry in operation["security"] for name in entry}
            if "writeKey" in keys:
                assert 400 <= answer.status_code < 500, (method, path)
            else:
                assert answer.status_code == 401, (method, path)
                seen += 1
            service = operation["tags"][0]
            if service in services:
                for headers in ({}, shop.headers, {"X-Internal-Role": "root"}):
                    direct = httpx.request(method, platform.service_url(service) + url, headers=headers)
                    assert direct.status_code == 401, (method, path)
    assert seen > 100


@pytest.fixture(scope="module")
def provider(platform: Platform) -> Iterator[OpenIdProvider]:
    """The platform's gateway, with a provider for its staff."""
    made = OpenIdProvider()
    made.start()
    platform.stop_process("gateway")
    platform.start_process("gateway", env=made.environment({"perennial-analysts": "analyst"}))
    yield made
    made.stop()
    platform.stop_process("gateway")
    platform.start_process("gateway")


def signed_in(shop: Shop, person: str) -> dict[str, str]:
    begin = shop.http.get("/v1/staff/oidc").json()
    return bearer(sign_in(begin, person)["id_token"])


def test_staff_of_an_openid_provider(shop: Shop, provider: OpenIdProvider) -> None:
    ann = signed_in(shop, "ann")
    me = shop.http.get("/v1/staff/me", headers=ann).json()
    assert (me["id"], me["roles"], me["email"]) == ("oidc:ann", ["analyst"], None)
    assert shop.http.get("/v1/segments", headers=ann).status_code == 200
    assert code(shop.http.post("/v1/sources", json={"name": "x"}, headers=ann)) == (403, "insufficient_scope")
    assert code(shop.http.get("/v1/me", headers=ann)) == (403, "customer_token_required")
    password = {"current_password": "x", "new_password": WORDS}
    assert code(shop.http.put("/v1/staff/me/password", json=password, headers=ann)) == (409, "no_password")
    assert code(shop.http.get("/v1/staff/me", headers=signed_in(shop, "eve"))) == (403, "no_role")
    header, claims, signature = ann["Authorization"].split(".")
    for forged in (f"{header}.{claims}.{signature[:-4]}AAAA", f"{header}.{claims}."):
        answer = shop.http.get("/v1/staff/me", headers={"Authorization": forged})
        assert code(answer) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_the_provider_changes_its_key(shop: Shop, provider: OpenIdProvider) -> None:
    before = signed_in(shop, "ann")
    assert shop.http.get("/v1/staff/me", headers=before).status_code == 200
    provider.stop()
    provider.start(algorithm="ES256")
    after = signed_in(shop, "ann")

    def turned() -> bool:
        statuses = [shop.http.get("/v1/staff/me", headers=headers).status_code for headers in (before, after)]
        return statuses == [401, 200]

    until(turned, 15, "the new key is believed, the withdrawn one no more")


def test_the_provider_is_down(platform: Platform, shop: Shop, provider: OpenIdProvider) -> None:
    ann = signed_in(shop, "ann")
    assert shop.http.get("/v1/staff/me", headers=ann).status_code == 200
    provider.stop()
    until_time = time.monotonic() + 5
    while time.monotonic() < until_time:
        assert shop.http.get("/v1/staff/me", headers=ann).status_code == 200
        time.sleep(0.5)
    platform.stop_process("gateway")
    platform.start_process("gateway", env=provider.environment({"perennial-analysts": "analyst"}))
    assert code(shop.http.get("/v1/staff/me", headers=ann)) == (503, "issuer_unavailable")
    assert code(shop.http.get("/v1/staff/oidc")) == (503, "issuer_unavailable")
    assert shop.http.get("/v1/segments", headers=shop.headers).status_code == 200, "keys work without it"
    provider.start()
    until(lambda: shop.http.get("/v1/staff/oidc").status_code == 200, 20, "the provider is found again")
    ann = signed_in(shop, "ann")
    until(lambda: shop.http.get("/v1/staff/me", headers=ann).status_code == 200, 20, "and so are its keys")


def test_the_first_owner(platform: Platform, shop: Shop) -> None:
    email = f"{shop.mark}@example.com"
    added = subprocess.run(
        [sys.executable, "-m", "perennial.gateway.staff", "add", "--email", email, "--role", "owner"],
        env=platform.environment_of("gateway"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    first = added.stdout.strip()
    opened = shop.http.post("/v1/staff/sessions", json={"email": email, "password": first}).json()
    assert opened["must_change_password"] is True
    change = {"current_password": first, "new_password": WORDS}
    changed = shop.http.put("/v1/staff/me/password", json=change, headers=bearer(opened["token"])).json()
    owner = bearer(changed["token"])
    platform.kill("gateway")
    platform.wait_process("gateway")
    assert shop.http.get("/v1/segments", headers=owner).status_code == 200, "a session outlives the process"
    assert shop.http.delete("/v1/staff/sessions/current", headers=owner).status_code == 204
    assert code(shop.http.get("/v1/segments", headers=owner)) == (401, "session_over")


class Issuer:
    """The shop's own issuer: its public key is configured, nobody is asked."""

    def __init__(self, shop: Shop, claim: str, kind: str) -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()
        self.name = f"https://{shop.mark}.example/{kind}"
        self._claim = claim
        public = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(self._key.public_key()))
        body = {
            "name": kind, "issuer": self.name, "audience": "app", "jwks": {"keys": [{**public, "kid": "1"}]},
            "claim": claim, "identifier_kind": kind,
        }  # fmt: skip
        shop.post("/v1/token-issuers", body, expect=201)

    def token(self, value: str) -> dict[str, str]:
        now = int(time.time())
        claims = {"iss": self.name, "aud": "app", "sub": "x", "iat": now, "exp": now + 600, self._claim: value}
        return bearer(jwt.encode(claims, self._key, "EdDSA", headers={"kid": "1"}))


def mine(shop: Shop, headers: dict[str, str], path: str = "") -> Any:
    answer = shop.http.get(f"/v1/me{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _subjects(shop: Shop, headers: dict[str, str]) -> set[str]:
    return {item["subject"] for item in mine(shop, headers, "/tickets")["items"]}


def test_a_token_serves_its_own_customer_also_after_a_merge(shop: Shop) -> None:
    by_id, by_mail = Issuer(shop, "sub", "user_id"), Issuer(shop, "email", "email")
    one, two = shop.user("one"), shop.user("two")
    mail = f"{two}@example.com"
    shop.deliver([shop.order(one, "30"), shop.event("identify", None, anonymousId=two, traits={"email": mail})])
    first, second = shop.known(one), shop.known(mail, "email")
    minted = shop.post("/v1/customer-tokens", {"customer_id": first}, expect=201)["token"]
    tokens = {"own issuer": by_id.token(one), "minted": bearer(minted), "by mail": by_mail.token(mail)}
    left = [tokens["own issuer"], tokens["minted"]]
    for headers, subject in ((left[0], "first"), (tokens["by mail"], "second")):
        body = {"type": "question", "subject": f"{subject} {shop.mark}", "description": "?"}

        def ask(headers: dict[str, str] = headers, body: dict[str, str] = body) -> bool:
            sent = headers | {"Idempotency-Key": uuid4().hex}
            return shop.http.post("/v1/me/tickets", json=body, headers=sent).status_code == 201

        until(ask, what="a ticket of one's own")
    ours, theirs = {f"first {shop.mark}"}, {f"second {shop.mark}"}

    def apart() -> bool:
        return [_subjects(shop, headers) for headers in tokens.values()] == [ours, ours, theirs]

    until(apart, what="each sees its own")
    _cannot_read_anothers(shop, tokens)
    assert code(shop.http.get("/v1/me", headers=by_id.token("nobody at all"))) == (403, "unknown_customer")

    merge = shop.post("/v1/merges", {"customer_ids": [first, second], "reason": "one person"}, key=uuid4().hex)
    for headers in tokens.values():
        until(partial(_same, shop, headers, ours | theirs), what="both see the merged one")
        assert mine(shop, headers)["id"] == merge["survivor"]
    shop.post(f"/v1/merges/{merge['id']}/undo", {"reason": "two people"}, key=uuid4().hex)
    until(apart, what="each sees its own again")
    _cannot_read_anothers(shop, tokens)


def _same(shop: Shop, headers: dict[str, str], subjects: set[str]) -> bool:
    return _subjects(shop, headers) == subjects


def _cannot_read_anothers(shop: Shop, tokens: dict[str, dict[str, str]]) -> None:
    theirs = mine(shop, tokens["by mail"], "/tickets")["items"][0]["id"]
    for name in ("own issuer", "minted"):
        for path in (f"/v1/me/tickets/{theirs}", f"/v1/me/tickets/{theirs}/events"):
            assert shop.http.get(path, headers=tokens[name]).status_code == 404
    assert shop.http.get(f"/v1/tickets/{theirs}", headers=tokens["by mail"]).status_code == 403
