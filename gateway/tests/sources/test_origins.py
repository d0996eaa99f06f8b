"""Which origins a list lets in, and how browsers are told."""

import httpx
import pytest

from perennial.gateway.sources.origins import Origins, normalised
from perennial.gateway.testing import Send, track

LISTED = Origins(["https://shop.example", "https://*.shop.example", "http://*.local.example:8080", "http://localhost"])


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("https://www.shop.example", True),
        ("https://a.b-c.shop.example", True),
        ("http://x.local.example:8080", True),
        ("http://localhost", True),
        ("http://shop.example", False),
        ("https://shop.example:8443", False),
        ("https://www.shop.example.evil.example", False),
        ("https://evilshop.example", False),
        ("https://.shop.example", False),
        ("https://evil.example/.shop.example", False),
        ("https://evil.example#.shop.example", False),
        ("https://user@.shop.example", False),
        ("http://local.example:8080", False),
        ("null", False),
        ("", False),
    ],
)
def test_who_is_let_in(origin: str, allowed: bool) -> None:
    assert LISTED.allows(origin) is allowed


def test_an_empty_list_says_nothing() -> None:
    assert not Origins([])
    assert Origins(["https://shop.example"])


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("HTTPS://Shop.Example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://*.Shop.example", "https://*.shop.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(written: str, origin: str) -> None:
    assert normalised(written) == origin


BAD = ["shop.example", "https://", "https://shop.example/", "https://*", "https://*.example", "https://*.1.2.3",
       "https://x.*.example", "https://shop.example:0", "https://-a.example", "https://a..b", "null", "*",
       "https://shop.example\n", "https://" + "a" * 400]  # fmt: skip


@pytest.mark.parametrize("origin", BAD)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match=r"must|port"):
        normalised(origin)


async def test_a_listed_origin_is_named_to_the_browser(send: Send, admin: httpx.AsyncClient) -> None:
    body = {"name": "web", "kind": "client", "origins": ["https://*.shop.example"]}
    key = ((await admin.post("/v1/sources", json=body)).json()["write_keys"][0]["key"], "")
    headers = {"Origin": "https://www.shop.example"}
    for answer in (
        await send([track()], auth=key, headers=headers),
        await send([7], auth=key, headers=headers),
        await send(content="{", auth=key, headers=headers),
        await admin.options("/v1/batch", headers=headers),
    ):
        assert answer.headers["access-control-allow-origin"] == "https://www.shop.example"
        assert answer.headers["vary"] == "Origin"
    answer = await send([track()], auth=key, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == ("*", "Origin")
