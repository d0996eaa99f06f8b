"""A relay between an SDK and the gateway that changes no byte and keeps what went by."""

import gzip
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

CHUNK = 65536


@dataclass
class Exchange:
    """A request and the status it got; None while there is none, or when it was lost."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int | None = None

    def events(self) -> list[dict[str, Any]]:
        """The tracking events of the body."""
        plain = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        content = json.loads(plain)
        found: list[dict[str, Any]] = content.get("batch", [content])
        return found


class Tap:
    """Listens at `url`, speaks to `upstream`."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self.far = (address.hostname or "", address.port or 80)
        self.exchanges: list[Exchange] = []
        self._to_lose = 0
        self._server = _Server(("127.0.0.1", 0), _Wire)
        self._server.tap = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def lose_answers(self, count: int) -> None:
        """Cut the connection instead of handing on the next answers to uploads: the gateway has taken them by then."""
        self._to_lose = count

    def is_lost(self, exchange: Exchange) -> bool:
        """Whether the answer to this request is one of those to lose."""
        if exchange.method != "POST" or not self._to_lose:
            return False
        self._to_lose -= 1
        return True

    @property
    def uploads(self) -> list[Exchange]:
        """The requests that carried events, in the order of their first byte."""
        return [exchange for exchange in self.exchanges if exchange.method == "POST" and exchange.body]

    @property
    def statuses(self) -> list[int | None]:
        """What the uploads were answered."""
        return [upload.status for upload in self.uploads]

    def events(self) -> list[dict[str, Any]]:
        """Every event as often as it was sent."""
        return [event for upload in self.uploads for event in upload.events()]


class _Server(ThreadingTCPServer):
    tap: Tap
    daemon_threads = True
    block_on_close = False


class _Wire(BaseRequestHandler):
    """One connection of the SDK, and the one to the gateway that belongs to it."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        tap = self.server.tap
        asked: list[Exchange] = []
        questions, answers = _Questions(tap, asked), _Answers(tap, asked)
        with socket.create_connection(tap.far) as far:
            back = threading.Thread(target=_pump, args=(far, self.request, answers.feed), daemon=True)
            back.start()
            _pump(self.request, far, questions.parser.feed_data)
            back.join()


def _pump(source: socket.socket, target: socket.socket, note: Callable[[bytes], object]) -> None:
    """Hand on what comes until it ends; what is handed on has been noted."""
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            note(chunk)
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Questions:
    def __init__(self, tap: Tap, asked: list[Exchange]) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self._tap, self._asked = tap, asked
        self._now = Exchange()

    def on_message_begin(self) -> None:
        self._now = Exchange()

    def on_url(self, url: bytes) -> None:
        self._now.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._now.headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._now.method = self.parser.get_method().decode()
        self._asked.append(self._now)
        self._tap.exchanges.append(self._now)

    def on_body(self, body: bytes) -> None:
        self._now.body += body


class _Answers:
    def __init__(self, tap: Tap, asked: list[Exchange]) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._tap, self._asked = tap, asked
        self._lost = False

    def feed(self, chunk: bytes) -> None:
        self._parser.feed_data(chunk)
        if self._lost:
            raise ConnectionAbortedError

    def on_headers_complete(self) -> None:
        exchange = next(one for one in self._asked if one.status is None)
        if self._tap.is_lost(exchange):
            self._lost = True
        else:
            exchange.status = self._parser.get_status_code()
