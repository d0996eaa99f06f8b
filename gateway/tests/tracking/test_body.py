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


async def test_a_client_that_leaves() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await body.read(receive, {}, LIMIT, 5)
