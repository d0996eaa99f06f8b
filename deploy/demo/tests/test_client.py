import asyncio

import pytest

from perennial.demo.client import Client, RefusedError, UnreachableError
from perennial.demo.testing import Answer, Server

BUSY: Answer = (503, {"Retry-After": "1"}, "{}")
LIMITED: Answer = (429, {"Retry-After": "1"}, "{}")
BAD: Answer = (400, {}, '{"detail": "batch: is missing"}')


async def test_the_same_batch_is_sent_again_until_it_is_taken(client: Client, server: Server) -> None:
    server.script = [BUSY, None, LIMITED]
    began = asyncio.get_running_loop().time()
    answer = await client.track("/v1/batch", b'{"batch":[1]}')
    assert answer["success"]
    assert server.bodies == [b'{"batch":[1]}'] * 4
    assert client.retries == 3
    assert asyncio.get_running_loop().time() - began >= 2, "Retry-After is a promise"


async def test_a_gateway_that_is_down_for_a_moment_is_waited_for() -> None:
    async with Server().listening() as moment:
        port = moment.port
    async with Client(moment.url, "write", "secret", patience=30) as patient:
        sending = asyncio.create_task(patient.track("/v1/batch", b"{}"))
        async with asyncio.timeout(10):
            while not patient.retries:
                await asyncio.sleep(0.01)
        assert not sending.done()
        async with Server(port=port).listening():
            assert (await sending)["success"]


async def test_a_refusal_is_not_sent_again_and_says_what_was_wrong(client: Client, server: Server) -> None:
    server.script = [BAD]
    with pytest.raises(RefusedError, match=r"/v1/batch was answered 400: .*batch: is missing"):
        await client.track("/v1/batch", b"{}")
    assert len(server.bodies) == 1


async def test_patience_ends(server: Server) -> None:
    server.always = lambda _: BUSY
    async with Client(server.url, "write", "secret", patience=1.5) as hasty:
        with pytest.raises(UnreachableError, match="status 503"):
            await hasty.get("/v1/customers/summary")
    assert len(server.bodies) == 2


async def test_what_does_not_exist_yet_is_none(client: Client, server: Server) -> None:
    server.script = [(404, {}, "{}")]
    assert await client.find("/v1/events/none") is None


async def test_pages_follow_the_cursor(client: Client, server: Server) -> None:
    server.script = [
        (200, {}, '{"items": [{"id": 1}, {"id": 2}], "next_cursor": "c&d"}'),
        (200, {}, '{"items": [{"id": 3}], "next_cursor": null}'),
    ]
    assert [item["id"] async for item in client.pages("/v1/x", {"status": "sent"})] == [1, 2, 3]
    first, second = (head.split()[1] for head in server.heads)
    assert first == "/v1/x?status=sent&limit=200"
    assert second == "/v1/x?status=sent&limit=200&cursor=c%26d"


async def test_keys_and_tokens(client: Client, server: Server) -> None:
    await client.track("/v1/track", b"{}")
    await client.post("/v1/x", {"points": 1}, key="k")
    await client.post("/v1/me/tickets", token="customer")
    tracking, api, customer = server.heads
    assert "Authorization: Basic d3JpdGU6" in tracking
    assert "Authorization: Bearer secret" in api
    assert 'Idempotency-Key: "k"' in api
    assert "Authorization: Bearer customer" in customer
