"""A source's rate limit: in events, all or nothing, said in headers."""

from typing import Any

import httpx
import pytest

from perennial.gateway.sources.models import Source
from perennial.gateway.sources.rates import policy_of
from perennial.gateway.testing import Send, Stored, track


async def limited(admin: httpx.AsyncClient, rate: int = 1, burst: int = 2500) -> tuple[str, str]:
    """The credentials of a limited source."""
    body = {"name": "web", "rate_limit": {"events_per_second": rate, "burst": burst}}
    return (await admin.post("/v1/sources", json=body)).json()["write_keys"][0]["key"], ""


def some(count: int) -> list[dict[str, Any]]:
    return [{"type": "track", "event": "A", "userId": "u", "messageId": str(n)} for n in range(count)]


async def test_a_batch_comes_in_as_a_whole_or_not_at_all(send: Send, admin: httpx.AsyncClient, stored: Stored) -> None:
    key = await limited(admin)
    answer = await send(some(2000), auth=key)
    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == '"source";q=2500;w=2500'
    assert answer.headers["ratelimit"].startswith('"source";r=500;t=')
    answer = await send(some(600), auth=key)
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    said = answer.json()
    assert said["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert said["violated-policies"] == ["source"]
    assert {"code", "message"} <= said.keys()
    reset = int(answer.headers["ratelimit"].rpartition("t=")[2])
    assert int(answer.headers["retry-after"]) >= reset >= 100
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await send(some(400), auth=key)).status_code == 200, "a smaller one still fits"
    assert len(await stored()) == 2400


async def test_the_largest_batch_fits_the_smallest_burst(send: Send, admin: httpx.AsyncClient) -> None:
    assert (await send(some(2500), auth=await limited(admin))).status_code == 200


async def test_every_answer_to_a_known_key_says_what_is_left(send: Send, admin: httpx.AsyncClient) -> None:
    key = await limited(admin)
    bad = [
        await send([7], auth=key),
        await send(content='{"userId":"u"}', path="/v1/track", auth=key),
        await send([], auth=key, envelope={"context": {"import": True}}),
    ]
    assert [answer.status_code for answer in bad] == [200, 400, 403]
    left = [answer.headers["ratelimit"].split(";")[1] for answer in bad]
    assert left == ["r=2499", "r=2498", "r=2497"], "a request costs one at least"


async def test_sources_do_not_share(send: Send, admin: httpx.AsyncClient) -> None:
    first, second = await limited(admin), await limited(admin)
    await send(some(2500), auth=first)
    assert (await send(some(1), auth=first)).status_code == 429
    assert (await send(some(1), auth=second)).status_code == 200
    answer = await send([track()])
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    ("rate", "burst", "quota", "seconds"),
    [(1, 2500, 2500, 2500), (1000, 2500, 3000, 3), (5000, 2500, 5000, 1), (7, 2500, 2506, 358)],
)
def test_the_rate_is_exact(rate: int, burst: int, quota: int, seconds: int) -> None:
    policy = policy_of(Source(events_per_second=rate, burst=burst))
    assert policy is not None
    assert (policy.quota, policy.seconds) == (quota, seconds)
    assert policy_of(Source()) is None
