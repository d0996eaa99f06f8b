"""The only way out to addresses that people type in: checked by form, by name, and again when the socket is made."""

import asyncio
import errno
import ipaddress
import json
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_SECONDS = 5.0
CONNECTIONS = 64
HTTPS = 443
_CGNAT = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6 = ipaddress.ip_network("2000::/3")  # what is routed on the internet; translated and local forms are not


class EgressError(ValueError):
    """The document could not be had."""


class ForbiddenAddressError(EgressError):
    """The URL leads where we may not go."""


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


def is_open(address: Address, port: int, allowed: Sequence[Network]) -> bool:
    """Whether a socket may be made: to any port of networks that the configuration allows, else to that of HTTPS."""
    return any(address in network for network in allowed) or (is_public(address) and port == HTTPS)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether an address may be reached: public, or in a network that the configuration allows."""
    return is_public(address) or any(address in network for network in allowed)


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Refuse by form: HTTPS on 443 without credentials; plain HTTP and other ports only into allowed networks.

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
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        address = None
    loose = _is_loose(address, port, allowed)
    if not loose and parts.scheme != "https":
        raise ForbiddenAddressError("url: https is required")
    if not loose and port not in {None, HTTPS}:
        raise ForbiddenAddressError("url: only port 443 is allowed")
    if address is not None and not is_allowed(address, allowed):
        raise ForbiddenAddressError(f"url: {address} is not a public address")


def _is_loose(address: Address | None, port: int | None, allowed: Sequence[Network]) -> bool:
    """Whether any scheme and port will do; where a name leads is seen at the socket, which knows no scheme."""
    if address is None:
        return bool(allowed) and port != HTTPS
    return any(address in network for network in allowed)


async def check_reachable(url: str, allowed: Sequence[Network]) -> None:
    """`check_url`, and every address its name has today. Raises ForbiddenAddressError."""
    check_url(url, allowed)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (HTTPS if parts.scheme == "https" else 80)
    try:
        await GuardedResolver(allowed).resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise ForbiddenAddressError(f"url: {host}: {error}") from error


def _refused(detail: str) -> OSError:
    return OSError(errno.EACCES, detail)


class GuardedResolver(AbstractResolver):
    """Resolves names to allowed addresses only; the connection goes to the address that was checked."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = HTTPS, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError when a name has no address, or one that is not allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for found_family, _, protocol, _, address in found:
            if not is_allowed(ipaddress.ip_address(address[0]), self._allowed):
                raise _refused(f"{host} resolves to {address[0]}, which is not a public address")
            if not is_open(ipaddress.ip_address(address[0]), port, self._allowed):
                raise _refused(f"{host} resolves to {address[0]}, of which only port 443 may be reached")
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


def session(allowed: Sequence[Network], timeout: float) -> aiohttp.ClientSession:
    """A client that reaches allowed addresses only, keeps no cookies and unpacks nothing; `timeout` in seconds.

    Every socket is checked too: the client library asks no resolver about an address, in whatever spelling.
    """

    def make(found: tuple[Any, ...]) -> socket.socket:
        host = found[4][0]
        try:
            address = ipaddress.ip_address(host)
        except ValueError as error:
            raise _refused(f"{host} is not an address") from error
        if not is_allowed(address, allowed):
            raise _refused(f"{address} is not a public address")
        if not is_open(address, found[4][1], allowed):
            raise _refused(f"only port 443 of {address} may be reached")
        return socket.socket(found[0], found[1], found[2])

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=GuardedResolver(allowed), use_dns_cache=False, limit=CONNECTIONS, socket_factory=make
        ),
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout)),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
    )


async def fetch_json(
    url: str,
    allowed: Sequence[Network] = (),
    *,
    max_bytes: int = 256 * 1024,
    timeout: float = 5,  # noqa: ASYNC109 (the client's own timeout says which phase was slow)
) -> Any:
    """GET a JSON document; redirects are not followed, `timeout` in seconds covers everything. Raises EgressError."""
    check_url(url, allowed)
    name = url.partition("?")[0]  # messages are logged; what is behind it may be a secret
    try:
        async with session(allowed, timeout) as client, client.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise EgressError(f"{name} answered {answer.status}")
            content = bytearray()
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > max_bytes:
                    raise EgressError(f"{name} answered more than {max_bytes} bytes")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EgressError(f"{name}: {str(error).replace(url, name) or type(error).__name__}") from error
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EgressError(f"{name} did not answer JSON") from error
