"""Bodies that mean harm: none is a 500, none takes more memory or time than it brings, and the process goes on."""

import asyncio
import contextlib
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from perennial.common.web.protocol import Protocol
from perennial.gateway.testing import Send, Stored, track

KEY = b"Authorization: Basic d2tfdGVzdDo=\r\n"  # wk_test:
BATCH = b"POST /v1/batch HTTP/1.1\r\nHost: gateway.test\r\n" + KEY


@pytest.fixture
async def port(gateway: FastAPI) -> AsyncIterator[int]:
    """The gateway behind the server that it runs on."""
    config = uvicorn.Config(gateway, "127.0.0.1", 0, http=Protocol, ws="none", log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def exchange(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """Everything that the server says until it hangs up or is silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    with contextlib.suppress(ConnectionError):  # it may hang up while we still send
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(1):
            while found := await reader.read(65_536):
                said += found
    writer.close()
    return said


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def in_event(value: str) -> bytes:
    return b'{"batch":[{"type":"track","event":"X","userId":"u","properties":%b}]}' % value.encode()


HARMFUL: list[tuple[bytes, dict[str, Any]]] = [
    (gzip.compress(b"\0" * 50_000_000), {"content-encoding": "gzip"}),
    (gzip.compress(b" ") * 10_000, {"content-encoding": "gzip"}),
    (gzip.compress(b"") * 20_000, {"content-encoding": "gzip"}),
    (gzip.compress(gzip.compress(b"\0" * 10_000_000)), {"content-encoding": "gzip"}),
    (b"\x1f\x8b" + b"\0" * 1000, {"content-encoding": "gzip"}),
    (b"x", {"content-encoding": "gzip, gzip"}),
    (b"[" * 500_000, {}),
    (b'{"batch":' * 50_000, {}),
    (b'{"batch":[],"x":' + b'{"a":' * 80_000, {}),
    (in_event(deep(100)), {}),
    (in_event(deep(3_000)), {}),
    (in_event("1e400"), {}),
    (in_event('{"n":1e400}'), {}),
    (in_event('{"n":%s}' % ("9" * 100_000)), {}),
    (in_event('{"n":%s}' % ("9" * 30_000)), {}),
    (b'{"batch":[],"sentAt":1e400}', {}),
    (b'{"batch":[],"sentAt":%b}' % (b"9" * 100_000), {}),
    (b'{"batch":[],"writeKey":%b}' % (b"9" * 100_000), {}),
    (in_event('"\\u0000\\ud800"'), {}),
    (in_event('{"\\u0000":"\\udfff\\u0000"}'), {}),
    (b"\\u0000" * 80_000, {}),
    (in_event('{"a":"\xff"}').replace(b"\xc3\xbf", b"\xff"), {}),
    (json.dumps({"batch": []}).encode("utf-16"), {}),
    (in_event(json.dumps({str(n): n for n in range(10_000)})), {}),
    (in_event("{" + ",".join(['"":1'] * 6_000) + "}"), {}),
    (b'{"batch":[%b]}' % b",".join([b"null"] * 2_501), {}),
    (b'{"batch":[%b]}' % b",".join([b"1"] * 2_500), {}),
    (b'{"batch":[%b],"context":{"x":"%b"}}' % (b",".join([b"{}"] * 2_500), b"y" * 200_000), {}),
    (b'{"batch":[%b],"context":{"x":"%b"}}' % (b",".join([b"{}"] * 20), b"y" * 200_000), {}),
    (b'{"batch":[{}],"context":%b}' % deep(200).encode(), {}),
    (b'{"batch":[{"writeKey":%b}]}' % deep(90).encode(), {}),
    (b"", {"content-length": "7"}),
    (b"{}", {"sentat": "9" * 5_000, "anonymousid": b"\x80\xff", "x-retry-count": "9" * 400, "x-write-key": ":" * 99}),
]


@pytest.mark.parametrize(("content", "headers"), HARMFUL, ids=range(len(HARMFUL)))
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
async def test_no_body_is_a_500_and_memory_stays_bounded(
    send: Send, content: bytes, headers: dict[str, Any], path: str
) -> None:
    await send([track()])
    tracemalloc.start()
    begun = asyncio.get_running_loop().time()
    answer = await send(content=content or b" ", path=path, headers=headers)
    spent = asyncio.get_running_loop().time() - begun
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code in {200, 400, 413, 415}
    assert {"code", "message"} <= set(answer.json()) or "rejected" in answer.json()
    assert most < 24 * 1024 * 1024
    assert spent < 5
    assert (await send([track()])).status_code == 200


async def test_what_was_accepted_of_it_can_be_stored_by_everybody(send: Send, stored: Stored) -> None:
    for content, headers in HARMFUL:
        await send(content=content or b" ", headers=headers)
    for event in await stored():
        text = bytes(event.body).decode()
        assert "\0" not in json.dumps(json.loads(text))
        json.dumps(json.loads(text), ensure_ascii=False).encode()


@pytest.mark.parametrize("query", ["&".join(f"a{n}=1" for n in range(60)), "writeKey=%00", "writeKey", "=&=;%"])
async def test_odd_queries(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.post(f"/beacon/v1/batch?{query}", content=b'{"batch":[]}')
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_write_key")


async def test_a_body_without_end_is_answered_and_the_connection_closed(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Protocol, "rest_seconds", 0.3)
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    said = await exchange(port, BATCH + b"Transfer-Encoding: chunked\r\n\r\n", *([chunk] * 12))
    assert said.startswith(b"HTTP/1.1 413")
    assert b"access-control-allow-origin" in said
    assert b'"code":"payload_too_large"' in said


async def test_a_client_that_sends_too_much_reads_why(port: int) -> None:
    """Closing at once would reset the connection, and the client would send the same again for ever."""
    large = b" " * 3_000_000
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/v1/batch", content=large, auth=("wk_test", ""))
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("sent", [b"", b'{"ba'])
async def test_a_client_that_stops_in_the_middle(
    port: int, edge: Any, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Protocol, "rest_seconds", 0.1)
    edge.settings = edge.settings.model_copy(update={"body_seconds": 0.2})
    said = await exchange(port, BATCH + b"Content-Length: 100\r\n\r\n" + sent)
    assert said.startswith(b"HTTP/1.1 503")
    assert b'"code":"body_timeout"' in said
    assert b"retry-after: 5" in said.lower()


async def test_a_client_that_drips_for_ever(port: int, edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "rest_seconds", 0.1)
    edge.settings = edge.settings.model_copy(update={"body_seconds": 0.3})
    pieces = [b"1\r\n \r\n"] * 4
    said = await exchange(port, BATCH + b"Transfer-Encoding: chunked\r\n\r\n", *pieces, pause=0.1)
    assert said.startswith(b"HTTP/1.1 503")


async def test_a_length_that_lies(port: int, stored: Stored) -> None:
    content = json.dumps({"batch": [track()]}).encode()
    short = BATCH + b"Content-Length: %d\r\n\r\n" % (len(content) - 5) + content
    assert (await exchange(port, short)).startswith(b"HTTP/1.1 400")
    huge = BATCH + b"Content-Length: 99999999999999999999\r\n\r\n"
    assert (await exchange(port, huge)).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    assert await stored() == []


async def test_chunks_and_keep_alive(port: int, stored: Stored) -> None:
    content = json.dumps({"batch": [track()]}).encode()
    chunked = BATCH + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    said = await exchange(port, chunked, chunked)
    assert said.count(b"HTTP/1.1 200") == 2
    assert len(await stored()) == 2
