"""Customer tokens and the internal token."""

import base64
import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from perennial.common.auth import Principal, verify
from perennial.common.problems import Unauthorized
from perennial.gateway.principals import tokens as module
from perennial.gateway.principals.tokens import Tokens


@pytest.fixture
def tokens(key_pair: tuple[str, str]) -> Tokens:
    return Tokens(key_pair[0])


def test_services_believe_the_internal_token(tokens: Tokens, key_pair: tuple[str, str]) -> None:
    via = uuid4()
    for principal in (
        Principal("api_key", "k", frozenset({"tickets:read", "loyalty:*"})),
        Principal("customer", str(via), frozenset(), via),
    ):
        token = tokens.internal(principal)
        assert verify(token, key_pair[1]) == principal
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] <= 60


def test_it_is_signed_once_in_half_a_minute(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    signed: list[Principal] = []

    def sign(_: str, principal: Principal) -> str:
        signed.append(principal)
        return str(len(signed))

    monkeypatch.setattr(module, "mint", sign)
    alice, bob = (Principal("api_key", name, frozenset()) for name in ("alice", "bob"))
    assert [tokens.internal(alice), tokens.internal(alice), tokens.internal(bob)] == ["1", "1", "2"]
    now += module.MINT_EVERY_SECONDS
    assert tokens.internal(alice) == "3"


def test_what_is_remembered_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    for _ in range(50):
        tokens.internal(Principal("api_key", uuid4().hex, frozenset()))
    assert len(tokens._minted) == 10


def test_a_customer_token(tokens: Tokens) -> None:
    customer = uuid4()
    token, expires_at = tokens.customer(customer, 600)
    assert abs(expires_at.timestamp() - time.time() - 600) < 5
    assert tokens.check_customer(token).principal == Principal("customer", str(customer), frozenset(), customer)


def test_a_customer_token_is_no_internal_token_and_the_reverse(tokens: Tokens, key_pair: tuple[str, str]) -> None:
    token, _ = tokens.customer(uuid4(), 600)
    with pytest.raises(Unauthorized):
        verify(token, key_pair[1])
    with pytest.raises(Unauthorized):
        tokens.check_customer(tokens.internal(Principal("customer", "x", frozenset(), uuid4())))


def test_expiry_is_seen_although_remembered(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token, _ = tokens.customer(uuid4(), 60)
    tokens.check_customer(token)
    later = time.time() + 61
    monkeypatch.setattr(module.time, "time", lambda: later)  # type: ignore[attr-defined]
    with pytest.raises(Unauthorized) as refused:
        tokens.check_customer(token)
    assert refused.value.code == "token_expired"


def forged(**changes: Any) -> str:
    stranger = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    claims = {"iss": "perennial-gateway", "aud": "customer", "sub": str(uuid4()), "exp": time.time() + 60, **changes}
    return jwt.encode(claims, stranger, algorithm="EdDSA")


@pytest.mark.parametrize(
    "token",
    [forged(), jwt.encode({"sub": str(uuid4()), "aud": "customer"}, "x" * 32, "HS256"), "a.b.c", "..", "é.é.é"],
)
def test_forged_tokens(tokens: Tokens, token: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.check_customer(token)


def test_deep_json_in_a_token_is_a_refusal(key_pair: tuple[str, str]) -> None:
    """A service is asked directly, with a token whose header is deeper than the interpreter's stack."""
    deep = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    with pytest.raises(Unauthorized):
        verify(f"{deep}.{deep}.{deep}", key_pair[1])


def test_only_ed25519_keys_sign() -> None:
    with pytest.raises(ValueError):
        Tokens("nonsense")


async def test_minting_over_http(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    customer = uuid4()
    answer = await admin.post("/v1/customer-tokens", json={"customer_id": str(customer), "ttl_seconds": 120})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert (UUID(claims["sub"]), claims["exp"] - claims["iat"]) == (customer, 120)
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert (await http.get("/v1/sources", headers=headers)).status_code == 403


BAD = [
    ({}, "customer_id"),
    ({"customer_id": "x"}, "customer_id"),
    ({"customer_id": None}, "customer_id"),
    ({"customer_id": str(uuid4()), "ttl_seconds": 1}, "ttl_seconds"),
    ({"customer_id": str(uuid4()), "ttl_seconds": 10**9}, "ttl_seconds"),
    ({"customer_id": str(uuid4()), "ttl_seconds": "x"}, "ttl_seconds"),
    ({"customer_id": str(uuid4()), "admin": True}, "admin"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_names_the_field(admin: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.post("/v1/customer-tokens", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["message"]
