"""Where requests of ours may go."""

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from perennial.common import egress
from perennial.common.egress import (
    EgressError,
    ForbiddenAddressError,
    check_reachable,
    check_url,
    fetch_json,
    is_public,
)

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
    ],
)
def test_private_addresses_in_every_dress_are_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def test_the_open_internet_is_allowed() -> None:
    assert is_public(ipaddress.ip_address("93.184.216.34"))
    assert is_public(ipaddress.ip_address("2606:2800:220:1::1"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/x", "https"),
        ("https://example.com:8443/x", "443"),
        ("https://user:pw@example.com/", "credentials"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("ftp://example.com/", "https"),
        ("https:///path", "https"),
        ("https://example.com:99999/", "Port"),
    ],
)
def test_urls_that_lead_astray_are_refused_by_form(url: str, says: str) -> None:
    with pytest.raises(ForbiddenAddressError, match=says):
        check_url(url, [])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://93.184.216.34/hook", "https"),
        ("https://93.184.216.34:8443/hook", "443"),
        ("http://example.com:443/hook", "https"),
    ],
)
def test_what_is_allowed_inside_is_not_allowed_outside(url: str, says: str) -> None:
    with pytest.raises(ForbiddenAddressError, match=says):
        check_url(url, LOOPBACK)
    check_url("http://127.0.0.1:9000/hook", LOOPBACK)
    check_url("https://93.184.216.34/hook", LOOPBACK)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name leads to an address of the open internet."""

    async def look_up(_: object, host: str, port: int, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("url", ["http://example.com/hook", "https://example.com:8443/hook"])
async def test_a_name_of_the_open_internet_is_reached_by_https_alone(url: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="only port 443"):
        await check_reachable(url, LOOPBACK)
    async with egress.session(LOOPBACK, 5) as client:
        with pytest.raises(aiohttp.ClientError, match="only port 443"):
            await client.get(url)
    await check_reachable("https://example.com/hook", LOOPBACK)


async def test_the_socket_itself_is_checked() -> None:
    async with egress.session(LOOPBACK, 5) as client:
        with pytest.raises(aiohttp.ClientError, match="only port 443"):
            await client.get("http://93.184.216.34/")


async def test_a_name_that_leads_home_is_refused() -> None:
    with pytest.raises(ForbiddenAddressError, match="localhost"):
        await check_reachable("https://localhost/hook", [])


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0x7f.1", "１２７.０.０.１", "[::ffff:7f00:1]"])
async def test_odd_spellings_of_loopback_are_refused_by_the_session(host: str, serve: Any) -> None:
    url = (await serve(b"secret")).replace("127.0.0.1", host)
    async with egress.session([], 5) as client:
        with pytest.raises(aiohttp.ClientError, match="not a"):
            await client.get(url)


Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Answer every connection with these bytes; then go on saying `forever`."""
    servers = []

    async def start(content: bytes, head: str = "HTTP/1.1 200 OK", forever: bytes = b"") -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + content)
            while forever and not writer.is_closing():
                writer.write(forever)
                await writer.drain()
                await asyncio.sleep(0.02)
            writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()


async def test_documents_are_fetched(serve: Serve) -> None:
    assert await fetch_json(await serve(b'{"keys": []}'), LOOPBACK) == {"keys": []}
    with pytest.raises(ForbiddenAddressError, match="https"):
        await fetch_json(await serve(b"{}"))
    with pytest.raises(ForbiddenAddressError, match="169"):
        await fetch_json("https://169.254.169.254/latest/meta-data", LOOPBACK)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"content": b"x" * 2000}, "more than 1000 bytes"),
        ({"content": b"not json"}, "did not answer JSON"),
        ({"content": b"\xff"}, "did not answer JSON"),
        ({"content": b"[" * 900}, "did not answer JSON"),
        ({"content": json.dumps("x").encode(), "head": "HTTP/1.1 404 Gone"}, "answered 404"),
        ({"content": b"", "head": "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/"}, "answered 302"),
        ({"content": b"", "head": "nonsense"}, "127.0.0.1"),
        ({"content": b"", "forever": b" "}, "Timeout"),
    ],
)
async def test_what_is_no_document_is_refused(serve: Serve, answer: dict[str, Any], says: str) -> None:
    with pytest.raises(EgressError, match=says):
        await fetch_json(await serve(**answer), LOOPBACK, max_bytes=1000, timeout=1)


async def test_nobody_there() -> None:
    with pytest.raises(EgressError):
        await fetch_json("http://127.0.0.1:1/", LOOPBACK)
