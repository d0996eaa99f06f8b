"""Saying who has entered and who has left: a batch may have changed thousands of memberships.

The bodies are those of the contracts, encoded without a model for each; a test holds them to it.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

import asyncpg
import msgspec

from perennial.common.contracts.base import Event
from perennial.common.contracts.segments import MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.events import Encoder
from perennial.common.ids import uuid7, uuid7_text
from perennial.common.packs import Packed, Said, packed

PER_FACT = 1000
BREATH = 50  # facts
Changed = tuple[UUID, UUID, int] | asyncpg.Record  # segment, customer, version

Head = tuple[str, str]

_encode, _made = msgspec.json.Encoder().encode, Said._make  # of a thousand facts, a third of the time of Said(…)


class _State(msgspec.Struct, gc=False):
    segment_id: UUID
    segment_name: str
    customer: UUID
    member: bool
    since: datetime
    version: int


class _States(msgspec.Struct, gc=False):
    id: str
    occurred_at: datetime
    memberships: list[_State]


class _Entered(msgspec.Struct, gc=False):
    id: str
    occurred_at: datetime
    segment_id: UUID
    segment_name: str
    customer: UUID
    version: int
    announced: bool = False


class _Exited(msgspec.Struct, gc=False):
    id: str
    occurred_at: datetime
    segment_id: UUID
    segment_name: str
    customer: UUID
    version: int


async def facts(
    entered: Sequence[Changed], left: Sequence[Changed], names: Mapping[UUID, str], live: Mapping[UUID, bool],
    at: datetime,
) -> Packed:  # fmt: skip
    """How things stand with these memberships; single facts only where something live was the cause."""
    said = [*_states(entered, names, at, member=True), *_states(left, names, at, member=False)]
    made: list[Said] = []
    for number, fact in enumerate(_facts(said, live, at)):
        made.append(fact)
        if number % BREATH == 0:
            await asyncio.sleep(0)  # what is being written meanwhile goes on
    return packed(made)


def _facts(said: list[_State], live: Mapping[UUID, bool], at: datetime) -> Iterator[Said]:
    states, entries, exits = _headers(at)
    for part in _parts(said):
        yield _fact(MembershipsChanged, states, _States(uuid7_text(), at, part))
    for one in said:
        if not live.get(one.customer):
            continue
        what = (uuid7_text(), at, one.segment_id, one.segment_name, one.customer, one.version)
        if one.member:
            yield _fact(MembershipEntered, entries, _Entered(*what))
        else:
            yield _fact(MembershipExited, exits, _Exited(*what))


def _fact(contract: type[Event], head: Head, said: _States | _Entered | _Exited) -> Said:
    identifier = said.id
    return _made((identifier, contract.subject, f"{head[0]}{identifier}{head[1]}", _encode(said)))


_NOBODY = uuid7()


def _headers(at: datetime) -> tuple[Head, Head, Head]:
    """Of each contract, around the place of the id."""
    encode, nobody = Encoder(), {"segment_id": _NOBODY, "segment_name": "", "customer": _NOBODY, "version": 0}
    states = MembershipsChanged(id=_NOBODY, occurred_at=at, memberships=[])
    entered, exited = (
        contract.model_validate({"id": _NOBODY, "occurred_at": at, **nobody})
        for contract in (MembershipEntered, MembershipExited)
    )
    return _split(encode(states)[0]), _split(encode(entered)[0]), _split(encode(exited)[0])


def _split(headers: str) -> Head:
    before, _, after = headers.partition(str(_NOBODY))
    return before, after


def _states(rows: Sequence[Changed], names: Mapping[UUID, str], at: datetime, *, member: bool) -> list[_State]:
    return [_State(row[0], names.get(row[0], ""), row[1], member, at, row[2]) for row in rows]


def _parts(said: list[_State]) -> Iterator[list[_State]]:
    remaining = iter(said)
    while part := list(islice(remaining, PER_FACT)):
        yield part
