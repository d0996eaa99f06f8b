"""Tokens of other issuers: every way to forge one, and every way in which an issuer may fail."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from perennial.common.egress import EgressError
from perennial.common.problems import Problem, Unauthorized, Unavailable
from perennial.gateway.principals import jwks as module
from perennial.gateway.principals.jwks import ALGORITHMS, BadKeysError, KeySet, read_keys
from perennial.gateway.principals.jwts import Verifier, Wanted, peek
from perennial.gateway.principals.testing import published

ISSUER, AUDIENCE = "https://id.example", "console"
KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
OTHER = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)


JWKS = {"keys": [published(key, algorithm, algorithm) for algorithm, key in KEYS.items()]}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300, **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(algorithm: str = "RS256", key: Any = None, kid: str | None = "", **changes: Any) -> str:
    headers = {} if kid is None else {"kid": kid or algorithm}
    return jwt.encode(claims(**changes), key or KEYS[algorithm], algorithm, headers=headers)


def raw(header: Any, payload: Any, signature: bytes = b"x") -> str:
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def wanted(**changes: Any) -> Wanted:
    return Wanted(ISSUER, (AUDIENCE,), ALGORITHMS, 5.0, (AUDIENCE,))._replace(**changes)


async def check(token: str, **changes: Any) -> Any:
    return await Verifier(KeySet(None, JWKS), wanted(**changes)).check(token, peek(token))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_good_ones(algorithm: str) -> None:
    assert (await check(signed(algorithm)))["sub"] == "ann"
    assert (await check(signed(algorithm, kid=None)))["sub"] == "ann", "one key only fits"
    assert (await check(signed(algorithm, aud=[AUDIENCE, "x"], azp=AUDIENCE)))["sub"] == "ann"


PEM = (
    KEYS["RS256"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def hmac_with_public_key() -> str:
    header, payload = raw({"alg": "HS256", "kid": "RS256", "typ": "JWT"}, claims()).split(".")[:2]
    mac = hmac.digest(PEM, f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


FORGED = {
    "none": raw({"alg": "none"}, claims(), b""),
    "none, oddly spelled": raw({"alg": "nOnE", "kid": "RS256"}, claims(), b""),
    "the public key as a secret": hmac_with_public_key(),
    "another key under a known name": signed(key=OTHER),
    "a key that is not published": signed(key=OTHER, kid="other"),
    "another algorithm than the key's": signed("ES256", kid="RS256"),
    "a key in the header": jwt.encode(
        claims(), OTHER, "RS256", headers={"jwk": published(OTHER, "x", "RS256"), "kid": "x"}
    ),
    "an algorithm that is not allowed": jwt.encode(claims(), KEYS["RS256"], "RS512", headers={"kid": "RS256"}),
    "a critical extension": jwt.encode(claims(), KEYS["RS256"], "RS256", headers={"kid": "RS256", "crit": ["x"]}),
    "a kid that is no text": raw({"alg": "RS256", "kid": ["RS256"]}, claims()),
    "no algorithm": raw({"kid": "RS256"}, claims()),
    "another issuer": signed(iss="https://other.example"),
    "no issuer": signed(iss=None),
    "another audience": signed(aud="shop"),
    "no audience": signed(aud=None),
    "expired": signed(exp=int(time.time()) - 60),
    "no expiry": signed(exp=None),
    "an endless expiry": signed(exp=float("inf")),
    "an expiry that is no number": signed(exp="tomorrow"),
    "an expiry that is no number but looks like one": signed(exp=str(int(time.time()) + 60)),
    "not yet": signed(nbf=int(time.time()) + 3600),
    "issued tomorrow": signed(iat=int(time.time()) + 86_400),
    "nobody": signed(sub=None),
    "a name with a line break": signed(sub="ann\nadmin"),
    "a long name": signed(sub="a" * 256),
    "another client": signed(azp="other"),
    "several audiences and no client": signed(aud=[AUDIENCE, "x"]),
    "not JSON": raw(b"{", b"{"),
    "a list": raw([], []),
    "deep JSON": raw(b"[" * 30_000, b"[" * 30_000),
    "deep JSON in the header": raw(b'{"a":' * 5_000, claims()),
    "not base64": "a.b.c",
    "not ASCII": "é.é.é",
    "empty": "..",
}


@pytest.mark.parametrize("name", FORGED)
async def test_forged(name: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        await check(FORGED[name])
    assert refused.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_a_clock_may_be_off_a_little() -> None:
    now = int(time.time())
    assert await check(signed(exp=now - 3, nbf=now + 3, iat=now + 3))


async def test_the_age_of_a_token_counts_where_it_is_asked_for() -> None:
    now = int(time.time())
    assert await check(signed(iat=now - 50, exp=now + 9999), max_age=60)
    for token in (signed(iat=now - 70, exp=now + 9999), signed(iat=None)):
        with pytest.raises(Unauthorized):
            await check(token, max_age=60)


async def test_a_token_that_was_good_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, token = Verifier(KeySet(None, JWKS), wanted()), signed()
    await verifier.check(token, peek(token))
    later = time.time() + 600
    monkeypatch.setattr("perennial.gateway.principals.jwts.time.time", lambda: later)
    with pytest.raises(Unauthorized) as refused:
        await verifier.check(token, peek(token))
    assert refused.value.code == "token_expired"


class Issuer:
    """Publishes keys, and counts who asks."""

    def __init__(self, document: Any = JWKS) -> None:
        self.document = document
        self.asked = 0

    async def fetch(self) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


async def outcome(verifier: Verifier, token: str) -> str:
    try:
        await verifier.check(token, peek(token))
    except Problem as error:
        return error.code
    return "ok"


async def test_keys_are_fetched_once_and_again_when_old(clock: Clock) -> None:
    issuer = Issuer()
    verifier = Verifier(KeySet(issuer.fetch), wanted())
    assert await asyncio.gather(*(outcome(verifier, signed()) for _ in range(5))) == ["ok"] * 5
    assert issuer.asked == 1
    clock.now += module.FRESH_SECONDS
    await outcome(verifier, signed())
    async with asyncio.timeout(30):
        while issuer.asked == 1:
            await asyncio.sleep(0.01)
    assert issuer.asked == 2


async def test_a_new_key_is_asked_for_at_once_but_garbage_only_now_and_then(clock: Clock) -> None:
    issuer = Issuer({"keys": JWKS["keys"][:1]})
    verifier = Verifier(KeySet(issuer.fetch), wanted())
    assert await outcome(verifier, signed("RS256")) == "ok"
    clock.now += module.RETRY_SECONDS
    issuer.document = JWKS
    assert set(await asyncio.gather(*(outcome(verifier, signed("ES256")) for _ in range(5)))) == {"ok"}
    assert issuer.asked == 2
    for _ in range(20):
        assert await outcome(verifier, signed(key=OTHER, kid="made up")) == "invalid_token"
    assert issuer.asked == 2


async def test_a_withdrawn_key_stops(clock: Clock) -> None:
    """Also the tokens that were found good before, and also after a quiet night."""
    issuer = Issuer()
    verifier = Verifier(KeySet(issuer.fetch), wanted())
    old = signed("RS256")
    assert await outcome(verifier, old) == "ok"
    issuer.document = {"keys": JWKS["keys"][1:]}
    clock.now += 2 * module.FRESH_SECONDS
    assert await outcome(verifier, old) == "invalid_token"


async def test_an_issuer_that_is_down(clock: Clock) -> None:
    issuer = Issuer()
    verifier = Verifier(KeySet(issuer.fetch), wanted())
    assert await outcome(verifier, signed()) == "ok"
    issuer.document = EgressError("down")
    for _ in range(3):
        clock.now += 3 * module.FRESH_SECONDS
        assert await outcome(verifier, signed()) == "ok"
    clock.now += module.STALE_SECONDS
    assert await outcome(verifier, signed()) == "issuer_unavailable"
    issuer.document = JWKS
    clock.now += module.RETRY_SECONDS
    assert await outcome(verifier, signed()) == "ok"


async def test_an_issuer_that_never_answered(clock: Clock) -> None:
    verifier = Verifier(KeySet(Issuer(EgressError("down")).fetch), wanted())
    with pytest.raises(Unavailable):
        await verifier.check(signed(), peek(signed()))


async def test_nonsense_replaces_no_keys(clock: Clock) -> None:
    issuer = Issuer()
    verifier = Verifier(KeySet(issuer.fetch), wanted())
    await outcome(verifier, signed())
    nonsenses: list[Any] = [{}, [], {"keys": []}, {"keys": "x"}, "x", None]
    for nonsense in nonsenses:
        issuer.document = nonsense
        clock.now += 2 * module.FRESH_SECONDS
        assert await outcome(verifier, signed()) == "ok"


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [1, None, {}]},
        {"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]},
        {"keys": [{"kty": "oct", "kid": "x"}]},
        {"keys": [published(SMALL, "x", "RS256")]},
        {"keys": [published(KEYS["RS256"], "x", "RS256", use="enc")]},
        {"keys": [published(KEYS["RS256"], "x", "RS256", alg="PS256")]},
        {"keys": [published(ec.generate_private_key(ec.SECP384R1()), "x", "ES384")]},
        {"keys": [{}] * 51},
    ],
)
def test_unusable_keys(document: Any) -> None:
    with pytest.raises(BadKeysError):
        read_keys(document)


@pytest.mark.parametrize("secret", [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "OKP", "crv": "Ed25519", "d": "x"}])
def test_secret_keys_are_not_for_publishing(secret: dict[str, Any]) -> None:
    with pytest.raises(BadKeysError, match="secret"):
        read_keys({"keys": [*JWKS["keys"], secret]})
