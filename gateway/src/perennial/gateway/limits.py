"""Rate limits by GCRA: one number per key, exact arithmetic, bounded memory."""

import math
import secrets
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from perennial.common.problems import Problem

NANOSECONDS = 1_000_000_000
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
KEYS = 65_536
SHARED = 16_384
LOOKS = 4


class TooManyRequests(Problem):
    """429."""

    status, code = 429, "rate_limited"


class Policy(NamedTuple):
    """So many units in so many seconds; all of them may come at once."""

    name: str
    quota: int
    seconds: int

    @property
    def interval(self) -> int:
        """Nanoseconds in which one unit grows back."""
        return max(1, self.seconds * NANOSECONDS // self.quota)


class Taken(NamedTuple):
    """What became of one request.

    `reset` is in whole seconds: until the whole quota is back, or for what was refused, until it would be allowed.
    """

    allowed: bool
    remaining: int
    reset: int


class Limiter:
    """Buckets by key, in memory of fixed size.

    A bucket that has filled up again is forgotten: that loses nothing. While more than `keys` are in use, the
    newcomers share a fixed number of buckets by a salted hash. So nobody resets a bucket by flooding with new keys,
    and who floods is limited together with those that come at the same time.
    """

    def __init__(self, keys: int = KEYS, shared: int = SHARED, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._keys = keys
        self._clock = clock
        self._full_at: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._shared = array("q", [0]) * shared
        self._salt = secrets.randbits(62)

    def __len__(self) -> int:
        """Keys with a bucket of their own."""
        return len(self._full_at)

    def take(self, key: str, policy: Policy, cost: int = 1) -> Taken:
        """Take `cost` units from the bucket of a key, or nothing at all.

        A cost above the quota needs a full bucket and leaves a debt: it is slowed down, not impossible.
        """
        now = self._clock()
        bucket = (policy.name, key)
        own = self._full_at.get(bucket)
        slot = -1
        if own is None:
            self._forget(now)
            if len(self._full_at) >= self._keys:
                slot = hash((self._salt, bucket)) % len(self._shared)
                own = self._shared[slot]
        full_at, taken = _spend(max(own or now, now), now, policy, cost)
        if taken.allowed and cost:
            if slot < 0:
                self._full_at[bucket] = full_at
            else:
                self._shared[slot] = full_at
        return taken

    def _forget(self, now: int) -> None:
        for _ in range(min(LOOKS, len(self._full_at))):
            bucket, full_at = self._full_at.popitem(last=False)
            if full_at > now:
                self._full_at[bucket] = full_at


def _spend(full_at: int, now: int, policy: Policy, cost: int) -> tuple[int, Taken]:
    whole = policy.quota * policy.interval
    missing = full_at - now
    needed = min(cost, policy.quota) * policy.interval
    wait = missing + needed - whole
    if wait > 0:
        left = max(0, (whole - missing) // policy.interval)
        return full_at, Taken(allowed=False, remaining=left, reset=_seconds(wait))
    full_at += cost * policy.interval
    left = max(0, (whole - (full_at - now)) // policy.interval)
    return full_at, Taken(allowed=True, remaining=left, reset=_seconds(full_at - now))


def _seconds(nanoseconds: int) -> int:
    return math.ceil(nanoseconds / NANOSECONDS)


def headers(policy: Policy, taken: Taken) -> dict[str, str]:
    """The RateLimit headers (draft-ietf-httpapi-ratelimit-headers)."""
    return {
        "RateLimit-Policy": f'"{policy.name}";q={policy.quota};w={policy.seconds}',
        "RateLimit": f'"{policy.name}";r={taken.remaining};t={taken.reset}',
    }


def refused(policy: Policy, taken: Taken) -> Problem:
    """The 429 that says when to come again."""
    wait = max(1, taken.reset)
    return TooManyRequests(
        f"more than {policy.quota} in {policy.seconds} s; try again in {wait} s",
        headers={**headers(policy, taken), "Retry-After": str(wait)},
        type=QUOTA_EXCEEDED,
        members={"violated-policies": [policy.name]},
    )
