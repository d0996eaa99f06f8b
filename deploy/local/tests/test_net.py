"""Ports and probes."""

import socket

from perennial.local.net import HOST, PORTS, free_port, http_status, is_free


def test_a_port_is_given_once() -> None:
    taken: set[int] = set()
    given = [free_port(taken) for _ in range(20)]
    assert len(set(given)) == 20
    assert taken == set(given)
    assert all(port in PORTS for port in given)


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_free(server.getsockname()[1])


async def test_nobody_answers() -> None:
    assert await http_status(free_port(), "/healthz") is None
