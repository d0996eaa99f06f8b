"""The keys of an issuer: fetched, kept while it is down, renewed when they grow old or one is missing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from perennial.common.egress import EgressError
from perennial.common.problems import Unavailable

log = structlog.get_logger()

ALGORITHMS = ("RS256", "ES256", "EdDSA")
FRESH_SECONDS = 300.0  # a key that its issuer withdraws is believed for no longer
STALE_SECONDS = 86_400.0  # while the issuer is down
RETRY_SECONDS = 10.0
MOST_KEYS = 50
MIN_RSA_BITS = 2048
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Fetch = Callable[[], Awaitable[Any]]


class BadKeysError(ValueError):
    """The document is no set of public keys that we can use."""


class Key:
    """One public key and the only algorithm it is used with."""

    def __init__(self, kid: str | None, algorithm: str, public: PublicKey) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.public = public


def read_keys(document: Any) -> list[Key]:
    """The usable keys of a JWKS. Raises BadKeysError when there is none, or when one of them is secret."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise BadKeysError(f"jwks must have `keys`, a list of at most {MOST_KEYS}")
    if any(isinstance(entry, Mapping) and {"d", "k"} & set(entry) for entry in listed):
        raise BadKeysError("jwks holds secret keys; publish the public ones only")
    keys = [key for entry in listed if isinstance(entry, Mapping) and (key := _read(entry)) is not None]
    if not keys:
        raise BadKeysError(f"jwks has no key for {', '.join(ALGORITHMS)}")
    return keys


def _read(entry: Mapping[str, Any]) -> Key | None:
    if entry.get("use", "sig") != "sig":
        return None
    try:
        public = jwt.PyJWK(dict(entry), algorithm=_algorithm(entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    kid = entry.get("kid")
    kid = kid if isinstance(kid, str) else None
    if isinstance(public, RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        return Key(kid, "RS256", public)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return Key(kid, "ES256", public)
    return Key(kid, "EdDSA", public) if isinstance(public, Ed25519PublicKey) else None


def _algorithm(entry: Mapping[str, Any]) -> str:
    """By the kind of the key; one that is published for another algorithm is not ours to use."""
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(entry.get("kty")), "")
    if entry.get("alg", algorithm) not in {algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm}:
        raise ValueError("another algorithm")
    return algorithm


class KeySet:
    """An issuer's keys; a set without `fetch` never changes."""

    def __init__(self, fetch: Fetch | None, document: Any = None, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._fetch = fetch
        self._fresh_seconds = fresh_seconds
        self._retry_seconds = min(RETRY_SECONDS, fresh_seconds)
        self._keys: Sequence[Key] = read_keys(document) if document is not None else ()
        self._fetched_at = self._tried_at = float("-inf")
        self._failing = False
        self._fetching = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self.generation = 0

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of a token's header; one that is missing is asked for, but not every time somebody makes one up."""
        await self.renew()
        found = self._find(kid, algorithm)
        if found is None:
            await self._renew()
            found = self._find(kid, algorithm)
        return found

    async def renew(self) -> None:
        """Fetch the keys when they have grown old. Raises Unavailable when there was no answer for a day.

        Nobody waits for an issuer that was there a moment ago, or that is known to be down. After a quiet time the
        first one does: else it would be let in by a key that was withdrawn long ago.
        """
        age = time.monotonic() - self._fetched_at
        if self._fetch is None or age < self._fresh_seconds:
            return
        if self._keys and age < STALE_SECONDS and (self._failing or age < 2 * self._fresh_seconds):
            if self._background is None or self._background.done():
                self._background = asyncio.create_task(self._renew())
            return
        await self._renew()
        if time.monotonic() - self._fetched_at >= STALE_SECONDS:
            raise Unavailable("the issuer of the token does not answer with its keys", code="issuer_unavailable")

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        fitting = [key for key in self._keys if key.algorithm == algorithm and kid in {None, key.kid}]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    async def _renew(self) -> None:
        if self._fetch is None:
            return
        async with self._fetching:
            if time.monotonic() - self._tried_at < self._retry_seconds:
                return
            self._tried_at = time.monotonic()
            try:
                keys = read_keys(await self._fetch())
            except (EgressError, BadKeysError) as error:
                self._failing = True
                log.warning("jwks.stale", error=str(error))
                return
            self._keys, self._fetched_at, self._failing = keys, time.monotonic(), False
            self.generation += 1
