"""The only way out: POST to a partner, to checked addresses alone, with a cap on what comes back."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESPONSE_CAP = 64 * 1024
RESPONSE_KEPT = 1024
_CGNAT = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6 = ipaddress.ip_network("2000::/3")  # what is routed on the internet; translated and local forms are not


class ForbiddenAddressError(ValueError):
    """The URL leads where webhooks may not go."""


@dataclass(frozen=True)
class Result:
    """What came of an attempt. `status` is None when no answer came."""

    status: int | None
    latency_ms: int
    response: str = ""
    error: str | None = None
    retry_after: int | None = None
    abort: bool = False


def _embedded(address: Address) -> Address:
    """The IPv4 address inside a mapped, NAT64 or 6to4 form."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address is on the open internet."""
    inner = _embedded(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _UNICAST6:
        return False
    return inner.is_global and not inner.is_multicast and inner not in _CGNAT


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether an address may be reached: public, or in a network that the configuration allows."""
    return is_public(address) or any(address in network for network in allowed)


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Refuse by form: HTTPS on 443 without credentials; plain HTTP and other ports only where networks are allowed.

    Raises ForbiddenAddressError naming what is wrong. Names are resolved, and checked again, at every attempt.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenAddressError(f"url: {error}") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ForbiddenAddressError("url: an absolute https URL is required")
    if parts.username or parts.password:
        raise ForbiddenAddressError("url: credentials in a URL are not allowed")
    if not allowed and parts.scheme != "https":
        raise ForbiddenAddressError("url: https is required")
    if not allowed and port not in {None, 443}:
        raise ForbiddenAddressError("url: only port 443 is allowed")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not is_allowed(address, allowed):
        raise ForbiddenAddressError(f"url: {address} is not a public address")


async def check_reachable(url: str, allowed: Sequence[Network]) -> None:
    """`check_url`, and every address its name has today. Raises ForbiddenAddressError."""
    check_url(url, allowed)
    host = urlsplit(url).hostname or ""
    try:
        await GuardedResolver(allowed).resolve(host)
    except (OSError, UnicodeError) as error:
        raise ForbiddenAddressError(f"url: {host}: {error}") from error


class GuardedResolver(AbstractResolver):
    """Resolves names to allowed addresses only; the connection goes to the address that was checked."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError when a name has no address, or one that is not allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for found_family, _, protocol, _, address in found:
            if not is_allowed(ipaddress.ip_address(address[0]), self._allowed):
                raise OSError(f"{host} resolves to {address[0]}, which is not a public address")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=found_family,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


class Egress:
    """A client session for deliveries."""

    def __init__(self, allowed: Sequence[Network], timeout: float) -> None:
        self._allowed = allowed
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(allowed), use_dns_cache=False, limit=64)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(5.0, timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

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
