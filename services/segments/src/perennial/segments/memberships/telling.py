"""Saying who has entered and who has left: a batch may have changed thousands of memberships.

The bodies are those of the contracts, encoded without a model for each; a test holds them to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import text

from perennial.common import notify, outbox
from perennial.common.contracts.base import Event
from perennial.common.contracts.segments import MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.db import WriteSession
from perennial.common.db.arrays import array
from perennial.common.events import Encoder
from perennial.common.ids import uuid7, uuid7_text

PER_FACT = 1000
Changed = tuple[UUID, UUID, int] | asyncpg.Record  # segment, customer, version

_INSERT = text(outbox.INSERT)
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
    if not said:
        return
    states, entries, exits = _headers(at)
    ids, subjects, headers, bodies = [], [], [], []

    def add(head: str, contract: type[Event], identifier: str, body: msgspec.Struct) -> None:
        ids.append(identifier)
        subjects.append(contract.subject)
        headers.append(head.replace(_PLACE, identifier))
        bodies.append(_encode(body))

    for part in _parts(said):
        identifier = uuid7_text()
        add(states, MembershipsChanged, identifier, _States(identifier, at, part))
    for one in said:
        if not live.get(one.customer):
            continue
        identifier = uuid7_text()
        what = (identifier, at, one.segment_id, one.segment_name, one.customer, one.version)
        if one.member:
            add(entries, MembershipEntered, identifier, _Entered(*what))
        else:
            add(exits, MembershipExited, identifier, _Exited(*what))
    await session.execute(_INSERT, {"ids": array(ids), "subjects": subjects, "headers": headers, "bodies": bodies})
    await notify.notify(session, notify.OUTBOX)


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
