"""Saying who has entered and who has left: a batch may have changed thousands of memberships.

The bodies are those of the contracts, encoded without a model for each; a test holds them to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

import asyncpg
import msgspec

from perennial.common.contracts.base import Event
from perennial.common.contracts.segments import MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.db import WriteSession
from perennial.common.events import Encoder
from perennial.common.ids import uuid7, uuid7_text
from perennial.common.outbox import say
from perennial.common.packs import Said

PER_FACT = 1000
Changed = tuple[UUID, UUID, int] | asyncpg.Record  # segment, customer, version

_encode = msgspec.json.Encoder().encode


class _State(msgspec.Struct):
    segment_id: UUID
    segment_name: str
    customer: UUID
    member: bool
    since: datetime
    version: int


class _States(msgspec.Struct):
    id: str
    occurred_at: datetime
    memberships: list[_State]


class _Entered(msgspec.Struct):
    id: str
    occurred_at: datetime
    segment_id: UUID
    segment_name: str
    customer: UUID
    version: int
    announced: bool = False


class _Exited(msgspec.Struct):
    id: str
    occurred_at: datetime
    segment_id: UUID
    segment_name: str
    customer: UUID
    version: int


async def tell(
    session: WriteSession, entered: Sequence[Changed], left: Sequence[Changed], names: Mapping[UUID, str],
    live: Mapping[UUID, bool], at: datetime,
) -> None:  # fmt: skip
    """How things stand with these memberships; single facts only where something live was the cause."""
    said = [*_states(entered, names, at, member=True), *_states(left, names, at, member=False)]
    await say(session, list(_facts(said, live, at)))


def _facts(said: list[_State], live: Mapping[UUID, bool], at: datetime) -> Iterator[Said]:
    states, entries, exits = _headers(at)
    for part in _parts(said):
        identifier = uuid7_text()
        yield _fact(MembershipsChanged, states, identifier, _States(identifier, at, part))
    for one in said:
        if not live.get(one.customer):
            continue
        identifier = uuid7_text()
        what = (identifier, at, one.segment_id, one.segment_name, one.customer, one.version)
        if one.member:
            yield _fact(MembershipEntered, entries, identifier, _Entered(*what))
        else:
            yield _fact(MembershipExited, exits, identifier, _Exited(*what))


def _fact(contract: type[Event], head: str, identifier: str, said: msgspec.Struct) -> Said:
    return Said(identifier, contract.subject, head.replace(_PLACE, identifier), _encode(said))


_NOBODY = uuid7()
_PLACE = str(_NOBODY)


def _headers(at: datetime) -> tuple[str, str, str]:
    """Of each contract, with a place for the id."""
    encode, nobody = Encoder(), {"segment_id": _NOBODY, "segment_name": "", "customer": _NOBODY, "version": 0}
    states = MembershipsChanged(id=_NOBODY, occurred_at=at, memberships=[])
    entered, exited = (
        contract.model_validate({"id": _NOBODY, "occurred_at": at, **nobody})
        for contract in (MembershipEntered, MembershipExited)
    )
    return encode(states)[0], encode(entered)[0], encode(exited)[0]


def _states(rows: Sequence[Changed], names: Mapping[UUID, str], at: datetime, *, member: bool) -> list[_State]:
    return [_State(row[0], names.get(row[0], ""), row[1], member, at, row[2]) for row in rows]


def _parts(said: list[_State]) -> Iterator[list[_State]]:
    remaining = iter(said)
    while part := list(islice(remaining, PER_FACT)):
        yield part
