"""The rows of an outbox: a fact is one row; where a transaction says many, a row holds up to a hundred (ADR 20)."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from perennial.common.db.arrays import array

SUBJECT = "pack"
"""What a row of many bears for a subject; every contract's has dots."""

COUNTED = f"CASE WHEN subject = '{SUBJECT}' THEN (headers ->> 'facts')::int ELSE 1 END"
"""SQL: how many facts a row of an outbox holds."""

LEAST, MOST = 20, 100
LARGE = 16 * 1024  # bytes of a body: it has a row to itself, and a pack stays small
_LEVEL = 1  # the facts of a pack are much alike; Postgres compresses slowly, and not what is compressed already


class Said(NamedTuple):
    """A fact as it is written: `headers` is a JSON object."""

    id: UUID | str
    subject: str
    headers: str
    body: bytes


class Fact(NamedTuple):
    """A fact as it is published."""

    subject: str
    headers: dict[str, str]
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]]).decode
_headers = msgspec.json.Decoder(dict[str, str]).decode


class Packed(list[Said]):
    """Facts of which as many as belong together are one already."""


def packed(said: Sequence[Said]) -> Packed:
    """For whoever has time before they are written: compressing takes a microsecond a fact."""
    return Packed(_packed(said) if len(said) >= LEAST else said)


def rows(said: Sequence[Said]) -> dict[str, Any]:
    """The values of `outbox.INSERT`, in the order in which things were said."""
    made = said if isinstance(said, Packed) else packed(said)
    return {
        "ids": array([row.id for row in made]),
        "subjects": [row.subject for row in made],
        "headers": [row.headers for row in made],
        "bodies": [row.body for row in made],
    }


def facts(subject: str, headers: str, body: bytes) -> list[Fact]:
    """What a row says. Raises KeyError, zlib.error or msgspec.MsgspecError where it cannot be read."""
    if subject != SUBJECT:
        return [_fact(subject, headers, body)]
    return [_fact(*each) for each in _decode(zlib.decompress(body))]


def _fact(subject: str, headers: str, body: bytes) -> Fact:
    read = _headers(headers)
    read["Nats-Msg-Id"] = read["ce-id"]
    return Fact(subject, read, body)


def _packed(said: Sequence[Said]) -> Iterator[Said]:
    pack: list[Said] = []
    for fact in said:
        large = len(fact.body) > LARGE
        if pack and (large or len(pack) == MOST):
            yield _pack(pack)
            pack = []
        if large:
            yield fact
        else:
            pack.append(fact)
    if pack:
        yield _pack(pack)


def _pack(said: Sequence[Said]) -> Said:
    """One row. It has no `ce-id`: a process of a version that knows no packs fails on it, and leaves it be."""
    if len(said) == 1:
        return said[0]
    body = zlib.compress(_encode([fact[1:] for fact in said]), _LEVEL)
    return Said(said[0].id, SUBJECT, f'{{"facts": {len(said)}}}', body)
