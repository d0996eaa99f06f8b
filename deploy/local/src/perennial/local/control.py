"""Orders to a running supervisor: one line of JSON each way, on the loopback, with a token."""

import asyncio
import hmac
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from perennial.local.net import HOST
from perennial.local.supervisor import StartError, Supervisor

TIMEOUT_SECONDS = 120


class ControlError(Exception):
    """The order could not be carried out; the text says why."""


class Control:
    """The server's side."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._verbs: Mapping[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "start": self._start,
            "stop": self._stop,
            "kill": self._kill,
            "wait": self._wait,
        }

    async def open(self) -> dict[str, Any]:
        """Listen; what a client needs to know."""
        self._server = await asyncio.start_server(self._answer, HOST, 0)
        return {"port": self._server.sockets[0].getsockname()[1], "token": self._token}

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer: dict[str, str] = {}
        try:
            order = json.loads(await reader.readline())
            if not hmac.compare_digest(order.get("token", ""), self._token):
                raise LookupError("wrong token")
            if order["verb"] not in self._verbs:
                raise LookupError(f"no verb {order['verb']!r}; there are {', '.join(self._verbs)}")
            await self._verbs[order["verb"]](order)
        except (LookupError, StartError, ValueError) as error:
            answer["error"] = str(error)
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _start(self, order: dict[str, Any]) -> None:
        await self._supervisor.child(order["name"]).start(order.get("env"))

    async def _stop(self, order: dict[str, Any]) -> None:
        await self._supervisor.child(order["name"]).stop()

    async def _kill(self, order: dict[str, Any]) -> None:
        await self._supervisor.child(order["name"]).kill(hold=bool(order.get("hold")))

    async def _wait(self, order: dict[str, Any]) -> None:
        await self._supervisor.child(order["name"]).ready()


def ask(control: Mapping[str, Any], verb: str, name: str, **more: object) -> None:
    """Give an order and wait until it is carried out. Raises ControlError."""
    order = {"token": control["token"], "verb": verb, "name": name} | more
    try:
        with socket.create_connection((HOST, control["port"]), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b'{"error": "the supervisor went away"}')
    except OSError as error:
        raise ControlError(f"the supervisor does not answer: {error}") from error
    if "error" in answer:
        raise ControlError(answer["error"])
