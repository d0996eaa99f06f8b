"""What arrives on the wire: one reading of every request, and an end to every wait."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from perennial.common.web.protocol import HEAD_BYTES, Protocol, Together, has_arrived, when_gone

HOST = b"Host: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LARGE = 8 * 1024 * 1024


class Quick(Protocol):
    head_seconds = 0.3
    rest_seconds = 0.3
    unread_seconds = 0.3


class Server:
    """An application that notes what it gets, behind the protocol."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, list[tuple[bytes, bytes]]]] = []
        self.broken = asyncio.Event()
        self.port = 0
        self.arrived: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await self.answer(send, b"no")
            return
        self.arrived.append(has_arrived(receive))
        content, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.broken.set()
                return
            content += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append((scope["path"], content, list(scope["headers"])))
        await self.answer(send, b"x" * LARGE if scope["path"] == "/large" else b"ok")
        if scope["path"] == "/large":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.broken.set()

    async def answer(self, send: Send, content: bytes) -> None:
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


App = TypeVar("App", bound=Server)


@contextlib.asynccontextmanager
async def running(app: App) -> AsyncIterator[App]:
    config = uvicorn.Config(app, port=0, http=Quick, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    app.port = server.servers[0].sockets[0].getsockname()[1]
    yield app
    server.should_exit = True
    await task


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(Server()) as app:
        yield app


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def talk(server: Server, *parts: bytes) -> bytes:
    """Everything that comes back until the server ends the connection."""
    reader, writer = await connect(server)
    got = b""
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            got = await reader.read()
    writer.close()
    return got


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\nab\n0\n\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\x1b[31mb\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET v1/x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_could_be_read_in_two_ways_is_not_read(server: Server, request_: bytes) -> None:
    got = await talk(server, request_)
    head, _, content = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert json.loads(content)["code"] == "invalid_http"
    assert server.seen == []


async def test_trailers_are_not_headers(server: Server) -> None:
    body = b"2\r\nab\r\n0\r\nX-Internal-Role: root\r\n\r\n"
    await talk(server, b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Connection: close\r\n\r\n", body)
    assert server.seen == [
        ("/", b"ab", [(b"host", b"x"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")])
    ]


async def test_the_body_of_an_upgrade_is_not_the_next_request(server: Server) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    hidden = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"POST /seen HTTP/1.1\r\n" + HOST + offer + b"Content-Length: %d\r\n\r\n" % len(hidden)
    got = await talk(server, head, hidden)
    assert [path for path, _, _ in server.seen] == ["/seen"]
    assert got.count(b"HTTP/1.1") == 1


async def test_requests_in_a_row_are_answered_in_a_row(server: Server) -> None:
    requests = [b"GET /%d HTTP/1.1\r\n" % number + HOST + b"\r\n" for number in range(3)]
    last = b"POST /3 HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nConnection: close\r\n\r\n"
    got = await talk(server, b"".join([*requests, last]), b"a", b"b")
    assert got.count(b"200 OK") == 4
    assert [(path, content) for path, content, _ in server.seen] == [
        ("/0", b""),
        ("/1", b""),
        ("/2", b""),
        ("/3", b"ab"),
    ]


@pytest.mark.parametrize("parts", [(), (b"\r\n",), (b"GET / HT",), (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b",)])
async def test_a_head_that_does_not_end(server: Server, parts: tuple[bytes, ...]) -> None:
    reader, writer = await connect(server)
    async with asyncio.timeout(3):
        for part in parts:
            writer.write(part)
        while not reader.at_eof():  # one byte at a time keeps nobody waiting
            if parts and not parts[0].startswith(b"\r"):
                writer.write(b"y")
            try:
                await asyncio.wait_for(reader.read(1), 0.1)
            except TimeoutError:
                continue
            except ConnectionError:
                break
    writer.close()
    assert server.seen == []


async def test_a_head_of_any_size_is_cut_off(server: Server) -> None:
    endless = [b"GET / HTTP/1.1\r\n" + HOST + b"X-A: ", *[b"a" * 16_384] * (3 * HEAD_BYTES // 16_384)]
    got = await talk(server, *endless)
    assert got == b"" or got.startswith(b"HTTP/1.1 431 ")
    assert server.seen == []


async def test_a_trailer_of_any_size_is_cut_off(server: Server) -> None:
    start = b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\nab\r\n0\r\nX-A: "
    await talk(server, start, *[b"a" * 16_384] * (3 * HEAD_BYTES // 16_384))
    async with asyncio.timeout(3):
        await server.broken.wait()
    assert server.seen == []


async def test_a_body_that_nobody_wants_ends_the_connection(server: Server) -> None:
    reader, writer = await connect(server)
    writer.write(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n")
    async with asyncio.timeout(3):
        assert (await reader.readuntil(b"\r\n\r\nno")).startswith(b"HTTP/1.1 200 ")
        while not reader.at_eof():
            writer.write(b"a" * 10)
            try:
                await asyncio.wait_for(reader.read(1), 0.05)
            except TimeoutError:
                continue
            except ConnectionError:
                break
    writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(server: Server) -> None:
    _, writer = await connect(server)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    async with asyncio.timeout(5):
        await server.broken.wait()
    writer.transport.abort()


async def test_a_slow_answer_is_not_a_slow_client(server: Server, monkeypatch: Any) -> None:
    answer = server.answer

    async def late(send: Send, content: bytes) -> None:
        await asyncio.sleep(0.6)
        await answer(send, content)

    monkeypatch.setattr(server, "answer", late)
    got = await talk(server, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert got.endswith(b"ok")


async def test_a_body_in_crumbs_is_still_a_body(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"Connection: close\r\n\r\n"
    await talk(server, head, b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")
    assert server.seen[0][1] == b"a" * 20_000


async def test_whether_a_body_is_here_already_is_known(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    await talk(server, head + b"Content-Length: 2\r\n\r\nab")
    await talk(server, head + b"Content-Length: 2\r\n\r\na", b"b")
    await talk(server, head + CHUNKED + b"\r\n2\r\nab\r\n", b"0\r\n\r\n")
    await talk(server, head + CHUNKED + b"\r\n2\r\nab\r\n0\r\n\r\n")
    assert server.arrived == [True, False, False, True]
    assert [content for _, content, _ in server.seen] == [b"ab"] * 4

    async def receive() -> object:
        return None

    assert not has_arrived(receive)


class Transport(asyncio.Transport):
    """Notes each write that would be a system call."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.said.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.said.append(b"".join(list_of_data))

    def close(self) -> None:
        self.said.append("closed")


async def test_a_head_goes_with_what_follows_at_once() -> None:
    transport = Transport()
    together = Together(transport, asyncio.get_running_loop())
    together.write(b"head ")
    together.write(b"body")
    together.write(b"more")
    await asyncio.sleep(0)
    assert transport.said == [b"head body", b"more"]


async def test_a_head_waits_for_nothing_that_is_late() -> None:
    transport = Transport()
    together = Together(transport, asyncio.get_running_loop())
    together.write(b"head")
    await asyncio.sleep(0)
    assert transport.said == [b"head"]
    together.write(b"body")
    assert transport.said == [b"head", b"body"]


async def test_what_is_held_goes_out_before_the_end() -> None:
    transport = Transport()
    together = Together(transport, asyncio.get_running_loop())
    together.write(b"head")
    together.close()
    await asyncio.sleep(0)
    assert transport.said == [b"head", "closed"]


class Leaving(Server):
    """An application that works on, and is told when nobody waits any more."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()
        self.began = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert when_gone(receive, self.told.set)
        self.began.set()
        if scope["path"] == "/slow":
            await self.told.wait()
            again = asyncio.Event()
            assert when_gone(receive, again.set)
            assert again.is_set()
            self.broken.set()
        else:
            await self.answer(send, b"ok")


async def test_who_works_is_told_that_the_client_has_left() -> None:
    async with running(Leaving()) as server:
        _, writer = await connect(server)
        writer.write(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        await server.began.wait()
        writer.close()
        async with asyncio.timeout(20):
            await server.broken.wait()


async def test_who_has_answered_is_told_nothing() -> None:
    async with running(Leaving()) as server:
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await reader.readuntil(b"ok")).endswith(b"ok")
        writer.close()
        await talk(server, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert not server.told.is_set()


async def test_without_the_protocol_nobody_can_tell() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    assert not when_gone(receive, lambda: None)
