"""Reading a body: any content type, gzip with a cap, chunks, and clients that stall."""

import asyncio
import gzip
import zlib

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from perennial.gateway.tracking import body
from perennial.gateway.tracking.refusal import Refusal

LIMIT = 1000


def receiving(*chunks: bytes) -> Receive:
    pending = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return pending.pop(0)

    return receive


async def read(*chunks: bytes, **headers: str) -> bytes:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await body.read(receiving(*chunks), sent, LIMIT, 5)


async def refused(*chunks: bytes, **headers: str) -> tuple[int, str]:
    with pytest.raises(Refusal) as error:
        await read(*chunks, **headers)
    return error.value.status, error.value.code


async def test_plain_and_chunked_bodies() -> None:
    assert await read(b"abc") == b"abc"
    assert await read(b"a", b"", b"bc") == b"abc"
    assert await read(b"abc", content_encoding="identity") == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_gzip_is_inflated(encoding: str) -> None:
    zipped = gzip.compress(b"x" * LIMIT)
    assert await read(zipped[:5], zipped[5:], content_encoding=encoding) == b"x" * LIMIT


async def test_members_and_padding_of_gzip() -> None:
    zipped = gzip.compress(b"a") + gzip.compress(b"b") + b"\0" * 10
    assert await read(zipped, content_encoding="gzip") == b"ab"


async def test_the_limit_holds_after_inflation() -> None:
    assert await read(b"x" * LIMIT) == b"x" * LIMIT
    assert await refused(b"x" * (LIMIT + 1)) == (413, "payload_too_large")
    assert await refused(gzip.compress(b"x" * (LIMIT + 1)), content_encoding="gzip") == (413, "payload_too_large")
    assert await refused(b"x" * 600, b"x" * 600) == (413, "payload_too_large")


async def test_a_bomb_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)[: LIMIT + body.GZIP_OVERHEAD]
    longest = 0
    inflater = zlib.decompressobj

    class Watched:
        def __init__(self, bits: int) -> None:
            self.inner = inflater(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal longest
            found = self.inner.decompress(data, most)
            longest = max(longest, len(found))
            return found

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    assert await refused(bomb, content_encoding="gzip") == (413, "payload_too_large")
    assert longest <= LIMIT + 1


async def test_a_declared_length_is_believed_when_it_is_too_large() -> None:
    assert await refused(b"", content_length=str(LIMIT + 1)) == (413, "payload_too_large")
    assert await refused(b"", content_length="9" * 30) == (413, "payload_too_large")
    assert await read(b"x", content_length="not a number") == b"x"


@pytest.mark.parametrize(
    "broken", [b"not gzip", gzip.compress(b"abc", mtime=0)[:-4], gzip.compress(b"a", mtime=0) + b"tail"]
)
async def test_broken_gzip(broken: bytes) -> None:
    assert await refused(broken, content_encoding="gzip") == (400, "invalid_gzip")


async def test_other_encodings() -> None:
    assert await refused(b"x", content_encoding="br") == (415, "unsupported_encoding")


async def test_a_stalled_body_is_given_up() -> None:
    sent: list[Message] = [{"type": "http.request", "body": b"a", "more_body": True}]

    async def receive() -> Message:
        if sent:
            return sent.pop()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    with pytest.raises(Refusal) as error:
        await body.read(receive, {}, LIMIT, 0.02)
    assert (error.value.status, error.value.code) == (503, "body_timeout")


async def test_the_first_byte_must_come_in_time_too() -> None:
    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    with pytest.raises(Refusal) as error:
        await body.read(receive, {}, LIMIT, 0.02)
    assert (error.value.status, error.value.code) == (503, "body_timeout")


async def test_the_whole_body_must_come_in_time_however_steadily_it_drips() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async with asyncio.timeout(2):
        with pytest.raises(Refusal) as error:
            await body.read(receive, {}, LIMIT, 0.1)
    assert error.value.code == "body_timeout"


async def test_members_without_end() -> None:
    """Each of them costs a copy of the rest: half a megabyte of empty ones would stop the process for seconds."""
    assert await refused(gzip.compress(b"") * 100, content_encoding="gzip") == (400, "invalid_gzip")
    assert await read(gzip.compress(b"a") * body.MOST_MEMBERS, content_encoding="gzip") == b"a" * body.MOST_MEMBERS


async def test_all_bodies_that_are_still_arriving_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MOST_HELD", 3 * LIMIT)
    going_on = asyncio.Event()

    def slow() -> Receive:
        pending: list[Message] = [
            {"type": "http.request", "body": b"b", "more_body": False},
            {"type": "http.request", "body": b"a" * (LIMIT - 1), "more_body": True},
        ]

        async def receive() -> Message:
            if len(pending) == 1:
                await going_on.wait()
            return pending.pop()

        return receive

    started = [asyncio.create_task(body.read(slow(), {}, LIMIT, 5)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    going_on.set()
    found = await asyncio.gather(*started, return_exceptions=True)
    assert [one.code for one in found if isinstance(one, Refusal)] == ["overloaded"] * 2
    assert sum(isinstance(one, bytes) for one in found) == 3
    assert body._held.size == 0
    assert await read(b"a", b"b") == b"ab"


async def test_a_client_that_leaves() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await body.read(receive, {}, LIMIT, 5)
