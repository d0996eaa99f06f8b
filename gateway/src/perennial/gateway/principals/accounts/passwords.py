"""Passwords: which are good enough, and their argon2id hashes, made off the loop and a few at a time."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from perennial.common.problems import Unavailable

SHORTEST, LONGEST = 12, 128
FEWEST_DIFFERENT = 5
AT_ONCE = 2
MOST_WAITING = 64
# OWASP's smaller choice of argon2id; an attempt costs 19 MiB and some 30 ms of a core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
PACKAGE = "perennial.gateway.principals.accounts"
T = TypeVar("T")


def normalised(password: str) -> str:
    """One form of a password, however a keyboard composes it."""
    return unicodedata.normalize("NFKC", password)


def wrong_with(password: str, email: str) -> str | None:
    """Why a normalised password is not good enough; None when it is."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    plain = password.casefold()
    if plain in _worst() or len(set(plain)) < FEWEST_DIFFERENT:
        return "is one of those that everybody tries first"
    local = email.rpartition("@")[0]
    if email in plain or (len(local) >= 4 and local in plain):
        return "must not contain the e-mail address"
    return None


def one_time() -> str:
    """A password that somebody is told, and changes."""
    return secrets.token_urlsafe(15)


@cache
def _worst() -> frozenset[str]:
    return frozenset((resources.files(PACKAGE) / "worst.txt").read_text().split())


@cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_urlsafe(24))


class Passwords:
    """Hashes and verifies in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash of a normalised password. Raises Unavailable when too many are waiting."""
        return await self._run(_hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether a normalised password is that of a hash; without a hash the same work, for nothing."""
        return await self._run(_verify, hashed, password)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *arguments: str | None) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many are signing in at this moment, try again", retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1


def _hash(password: str) -> str:
    return _HASHER.hash(password)


def _verify(hashed: str | None, password: str) -> bool:
    try:
        _HASHER.verify(hashed or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None
