"""JSON Web Tokens of other issuers: read without believing anything, then checked claim by claim."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt
import msgspec
from jwt.utils import base64url_decode

from perennial.common.problems import Unauthorized
from perennial.gateway.principals.jwks import KeySet

REMEMBERED = 10_000
LONGEST_SUBJECT = 255


class Unread(NamedTuple):
    """A token that nobody has checked yet."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def issuer(self) -> str:
        """Who says to have signed it."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


class Wanted(NamedTuple):
    """What a token must say: `clients` is who it may have been made for (`azp`), `max_age` in seconds from `iat`."""

    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: float
    clients: tuple[str, ...] = ()
    max_age: float | None = None


def invalid(why: str, code: str = "invalid_token") -> Unauthorized:
    """401, with what is wrong with the token."""
    return Unauthorized(f"Authorization: {why}", code=code)


def peek(token: str) -> Unread:
    """A token's header and claims, unverified. Raises Unauthorized."""
    try:
        header, claims, _ = (base64url_decode(part.encode()) for part in token.split("."))
        decoded = msgspec.json.decode(header), msgspec.json.decode(claims)
    except (ValueError, RecursionError) as error:  # the JSON may be as deep as the header is long
        raise invalid("the token is not valid") from error
    if not all(isinstance(part, dict) for part in decoded):
        raise invalid("the token is not valid")
    return Unread(*decoded)


class Verifier:
    """Checks tokens of one issuer, and remembers for a while which were good under the present keys."""

    def __init__(self, keys: KeySet, wanted: Wanted) -> None:
        self.keys = keys
        self.wanted = wanted
        self._good: OrderedDict[bytes, tuple[int, Mapping[str, Any]]] = OrderedDict()

    async def check(self, token: str, unread: Unread) -> Mapping[str, Any]:
        """The claims of a token. Raises Unauthorized, and Unavailable when the keys cannot be had."""
        await self.keys.renew()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._good.get(digest)
        if known is None or known[0] != self.keys.generation:
            claims = await self._verify(token, unread)
            self._good[digest] = known = (self.keys.generation, claims)
            while len(self._good) > REMEMBERED:
                self._good.popitem(last=False)
        self._check_times(known[1])
        return known[1]

    async def _verify(self, token: str, unread: Unread) -> Mapping[str, Any]:
        algorithm, kid = unread.header.get("alg"), unread.header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self.wanted.algorithms:
            raise invalid(f"the token must be signed by {' or '.join(self.wanted.algorithms)}")
        if "crit" in unread.header or not isinstance(kid, str | None):
            raise invalid("the token is not valid")
        key = await self.keys.find(kid, algorithm)
        if key is None:
            raise invalid("the token is signed with a key that its issuer does not publish")
        wanted = self.wanted
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key.public, algorithms=[algorithm], audience=wanted.audiences, issuer=wanted.issuer,
                leeway=wanted.leeway, options={"require": ["iss", "aud", "exp", "sub"], "verify_exp": False},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise invalid(f"the token is not valid: {error}") from error
        self._check_party(claims)
        self._check_numbers(claims)
        return claims

    def _check_party(self, claims: Mapping[str, Any]) -> None:
        subject, party, audience = claims["sub"], claims.get("azp"), claims["aud"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise invalid("the token's sub is no name")
        if self.wanted.clients and party is None and isinstance(audience, list) and len(audience) > 1:
            raise invalid("the token has several audiences and no azp")
        if self.wanted.clients and party is not None and party not in self.wanted.clients:
            raise invalid("the token's azp is another client")

    def _check_numbers(self, claims: Mapping[str, Any]) -> None:
        needed: Sequence[str] = ("exp", "iat") if self.wanted.max_age is not None else ("exp",)
        for name in needed:
            value = claims.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise invalid(f"the token's {name} is missing or no number")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = time.time() - self.wanted.leeway
        if claims["exp"] <= now:
            raise invalid("the token has expired", "token_expired")
        if self.wanted.max_age is not None and claims["iat"] + self.wanted.max_age <= now:
            raise invalid(f"the token is older than {self.wanted.max_age:g} s", "token_expired")
