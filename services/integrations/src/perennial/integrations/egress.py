"""POST to a partner, to checked addresses alone, with a cap on what comes back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from perennial.common import egress
from perennial.common.egress import Network, check_url

RESPONSE_CAP = 64 * 1024
RESPONSE_KEPT = 1024


@dataclass(frozen=True)
class Result:
    """What came of an attempt. `status` is None when no answer came."""

    status: int | None
    latency_ms: int
    response: str = ""
    error: str | None = None
    retry_after: int | None = None
    abort: bool = False


class Egress:
    """A client session for deliveries."""

    def __init__(self, allowed: Sequence[Network], timeout: float) -> None:
        self._allowed = allowed
        self._session = egress.session(allowed, timeout)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Result:
        """One attempt; never raises for what the partner does."""
        started = time.perf_counter()
        try:
            check_url(url, self._allowed)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                head = await answer.content.read(RESPONSE_CAP)
                return Result(
                    status=answer.status,
                    latency_ms=_since(started),
                    response=head[:RESPONSE_KEPT].decode("utf-8", "replace").replace("\x00", ""),
                    retry_after=_seconds(answer.headers.get("Retry-After")),
                    abort=answer.headers.get("webhook-delivery") == "abort-message",
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Result(None, _since(started), error=(str(error) or type(error).__name__)[:500])

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _seconds(value: str | None) -> int | None:
    return min(int(value), 86400) if value and value.isascii() and value.isdigit() else None
