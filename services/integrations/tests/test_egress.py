"""Where webhooks may go, and how they are signed."""

import ipaddress

import pytest
from standardwebhooks.webhooks import Webhook

from perennial.integrations import signing
from perennial.integrations.egress import ForbiddenAddressError, check_reachable, check_url, is_public


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


async def test_a_name_that_leads_home_is_refused() -> None:
    with pytest.raises(ForbiddenAddressError, match="localhost"):
        await check_reachable("https://localhost/hook", [])


def test_signatures_are_verified_by_the_partners_library() -> None:
    old, new, body = signing.new_secret(), signing.new_secret(), b'{"type":"a.b"}'
    import time  # noqa: PLC0415

    now = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signing.signature([new, old], "msg_1", now, body),
    }
    for secret in (old, new):
        assert Webhook(signing.shown(secret)).verify(body.decode(), headers) == {"type": "a.b"}


def test_secrets_are_sealed_at_rest() -> None:
    key, secret = bytes(32), signing.new_secret()
    sealed = signing.seal(key, secret)
    assert secret not in sealed
    assert signing.unseal(key, sealed) == secret
