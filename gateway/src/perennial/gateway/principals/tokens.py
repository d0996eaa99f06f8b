"""The two tokens that the gateway signs: a customer's own, and the short one that services trust."""

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from perennial.common.auth import ALGORITHM, ISSUER, Principal, mint
from perennial.common.web import Unauthorized

CUSTOMER_AUDIENCE = "customer"
MINT_EVERY_SECONDS = 30.0
REMEMBERED = 10_000
K = TypeVar("K")
V = TypeVar("V")


class CustomerClaims(NamedTuple):
    """Whose a customer token is, until when, and the API key or staff session that minted it: it ends with that."""

    principal: Principal
    expires: float
    key_id: str | None
    session_id: str | None


class Tokens:
    """Signs with the deployment's Ed25519 key and remembers what it signed or checked a moment ago."""

    def __init__(self, private_key: str) -> None:
        """Raises ValueError for anything but an Ed25519 private key."""
        loaded = load_pem_private_key(private_key.encode(), password=None)
        if not isinstance(loaded, Ed25519PrivateKey):
            msg = "PERENNIAL_INTERNAL_PRIVATE_KEY is not an Ed25519 private key"
            raise TypeError(msg)
        self._private_key = private_key
        self._public_key = loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._minted: OrderedDict[Principal, tuple[float, str]] = OrderedDict()
        self._checked: OrderedDict[str, CustomerClaims] = OrderedDict()

    def internal(self, principal: Principal) -> str:
        """The token for a service, signed at most half a minute ago."""
        now = time.monotonic()
        found = self._minted.get(principal)
        if found is not None and now - found[0] < MINT_EVERY_SECONDS:
            return found[1]
        token = mint(self._private_key, principal)
        _remember(self._minted, principal, (now, token))
        return token

    def customer(
        self, customer_id: UUID, ttl_seconds: int, *, key_id: str | None = None, session_id: str | None = None
    ) -> tuple[str, datetime]:
        """A customer's token and when it ends."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": CUSTOMER_AUDIENCE,
            "sub": str(customer_id),
            "iat": now,
            "exp": now + ttl_seconds,
            **({"key": key_id} if key_id else {}),
            **({"session": session_id} if session_id else {}),
        }
        token = jwt.encode(claims, self._private_key, algorithm=ALGORITHM)
        return token, datetime.fromtimestamp(now + ttl_seconds, UTC)

    def check_customer(self, token: str) -> CustomerClaims:
        """What a customer token says. Raises Unauthorized."""
        found = self._checked.get(token)
        if found is None:
            found = self._check(token)
            _remember(self._checked, token, found)
        if found.expires <= time.time():
            raise Unauthorized("the customer token has expired", code="token_expired")
        return found

    def _check(self, token: str) -> CustomerClaims:
        try:
            claims = jwt.decode(
                token, self._public_key, algorithms=[ALGORITHM], audience=CUSTOMER_AUDIENCE, issuer=ISSUER,
                options={"require": ["exp", "sub"]},
            )  # fmt: skip
            via = UUID(claims["sub"])
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("the customer token has expired", code="token_expired") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("Authorization: the token is not valid", code="invalid_token") from error
        principal = Principal("customer", str(via), frozenset(), via)
        return CustomerClaims(principal, float(claims["exp"]), claims.get("key"), claims.get("session"))


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
