"""Loopback ports and the smallest HTTP probe."""

import asyncio
import random
import socket
from contextlib import suppress

HOST = "127.0.0.1"
# Below the kernel's ephemeral range: a client that retries towards a dead ephemeral port can be
# given that very port as its own, connect to itself, and keep the server from coming back.
PORTS = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(taken: set[int] | None = None) -> int:
    """A port nobody listens on; it is added to `taken`, whose ports are not given."""
    taken = set() if taken is None else taken
    for port in random.sample(PORTS, len(PORTS)):
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise OSError("no free port between 20000 and 32000 on 127.0.0.1")


async def http_status(port: int, path: str, seconds: float = 2.0) -> int | None:
    """The status code that GET `path` answers with; None when nothing answers in time."""
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return None
