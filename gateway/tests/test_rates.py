"""Whose bucket a request is."""

from ipaddress import ip_network
from typing import Any

import pytest

from perennial.gateway.rates import bucket_of, client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def scope(peer: str, *forwarded: str) -> dict[str, Any]:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:1234"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::1]:1234"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", [", ".join(["10.0.0.2"] * 2000)], "10.0.0.2"),
        ("10.0.0.1", ["\x1b[31m"], "10.0.0.1"),
    ],
)
def test_a_forwarded_address_is_believed_of_our_own_proxies(peer: str, forwarded: list[str], client: str) -> None:
    sent = scope(peer, *forwarded)
    assert client_address(sent, dict(sent["headers"]), TRUSTED) == client


def test_nobody_is_trusted_without_being_named() -> None:
    sent = scope("10.0.0.1", "203.0.113.9")
    assert client_address(sent, dict(sent["headers"]), []) == "10.0.0.1"
    assert client_address({"headers": []}, {}, []) == "unknown"


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("unix socket", "unknown"),
    ],
)
def test_buckets(address: str, bucket: str) -> None:
    assert bucket_of(address) == bucket
