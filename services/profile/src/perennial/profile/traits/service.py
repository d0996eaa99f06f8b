"""Write what identifies say of a customer: per trait the newest by event time stays, in whatever order they come."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from perennial.common import rules
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.profile.traits import queries
from perennial.profile.traits.queries import Said, Shown

LONGEST_KEY = 200
_key = functools.lru_cache(maxsize=8192)(rules.trait_key)
_ordered = msgspec.json.Encoder(order="sorted")


class _Context(msgspec.Struct):
    traits: msgspec.Raw = msgspec.Raw(b"null")


class _Identify(msgspec.Struct):
    """Values stay the JSON they were sent as: nothing is lost by reading and writing them."""

    traits: dict[str, msgspec.Raw] | None = None
    context: _Context | None = None


_IDENTIFY = msgspec.json.Decoder(_Identify)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Write the traits of identify events, and say which of them a live event has changed."""
    newest = winners(said for event in events for said in said_by(event))
    if not newest:
        return
    keys = {item.key for item in newest if item.live}
    shown = await queries.shown(session, [(item.via, item.key) for item in newest if item.key in keys])
    await queries.write(session, newest)
    await emit(session, *changes(newest, shown))


def said_by(event: ResolvedEvent) -> Iterator[Said]:
    """The traits of one identify event: `context.traits` overlaid by `traits`, each under its one spelling."""
    body = _IDENTIFY.decode(event.body)
    hints = bytes(body.context.traits) if body.context else b""
    values = _keyed(_OBJECT.decode(hints)) if hints.startswith(b"{") else {}
    values |= _keyed(body.traits or {})
    stamp = (event.timestamp, event.source, event.message_id)
    for key, value in values.items():
        if 0 < len(key) <= LONGEST_KEY:
            yield Said(event.via, key, None if value == "null" else value, stamp, event.live)


def _keyed(values: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    return {_key(name): str(value, "utf-8") for name, value in values.items()}


def winners(said: Iterable[Said]) -> list[Said]:
    """The newest of each identifier and key, sorted by them."""
    newest: dict[tuple[int, str], Said] = {}  # by the integer: hashing and comparing UUIDs is slow
    for item in said:
        key = (item.via.int, item.key)
        known = newest.get(key)
        if known is None or known.stamp < item.stamp:
            newest[key] = item
    return [newest[key] for key in sorted(newest)]


def changes(newest: Iterable[Said], shown: dict[tuple[UUID, str], Shown]) -> list[TraitsChanged]:
    """One fact for each identifier whose live words changed what its customer shows."""
    heard: dict[tuple[UUID, str], Said] = {}
    for item in newest:
        before = shown.get((item.via, item.key))
        if before is not None:
            said = heard.setdefault((before.customer, item.key), item)
            if said.stamp < item.stamp:
                heard[before.customer, item.key] = item
    changed: dict[tuple[UUID, UUID], dict[str, object]] = {}
    for (customer, key), item in heard.items():
        old = shown[item.via, key]
        newer = old.stamp is None or old.stamp < item.stamp
        if item.live and newer and _plain(old.value) != _plain(item.value):
            changed.setdefault((item.via, customer), {})[key] = _read(item.value)
    return [TraitsChanged(via=via, customer=customer, traits=traits) for (via, customer), traits in changed.items()]


def _read(value: str | None) -> object:
    return None if value is None else msgspec.json.decode(value)


def _plain(value: str | None) -> bytes:
    """One spelling per value, to compare what jsonb has written with what was sent."""
    return _ordered.encode(_read(value))
