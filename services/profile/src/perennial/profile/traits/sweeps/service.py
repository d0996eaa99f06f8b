"""Bring what is stored in line with a definition or with the ring, a batch of identifiers at a time."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, RowMapping

from perennial.common import derive, identity_map
from perennial.common.db import WriteSession
from perennial.common.rules import trait_key
from perennial.profile.traits.definitions.kinds import Unfit, fitted
from perennial.profile.traits.sealing import SEALED, Sealer, is_sealed, ring_of, said_in, sealer
from perennial.profile.traits.sweeps import queries

BATCH = 200
ALL = ""
_VALUES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


async def step(session: WriteSession) -> bool:
    """One batch of a sweep that is pending; whether there was one. Interrupted anywhere, it goes on where it was."""
    sealing = await sealer(session)
    sweep = await queries.pending(session)
    if sweep is None:
        return False
    vias = await queries.next_vias(session, sweep["after"], BATCH)
    if vias:
        await _handle(session, sealing, sweep, vias)
    await queries.move(session, sweep, vias[-1] if vias else sweep["after"], done=len(vias) < BATCH)
    return True


async def _handle(session: WriteSession, sealing: Sealer, sweep: RowMapping, vias: Sequence[UUID]) -> None:
    key = sweep["key"]
    found = await queries.statements(session, vias, key)
    rows = [_rewritten(sealing, row) for row in found]
    await queries.replace(session, [row for row, old in zip(rows, found, strict=True) if row[:6] != tuple(old)])
    edits = await queries.edits(session, vias, key)
    await queries.replace_edits(
        session,
        [(e.id, _again(sealing, e.via, e.key, e.value), _again(sealing, e.via, e.key, e.before)) for e in edits],
    )
    if key == ALL or sealing.schema.class_of(key) == "sensitive":
        await queries.seal_events(session, list(_events(sealing, await queries.events(session, vias))))
    owners = await identity_map.customers_of(session, {row.via for row in found})
    await derive.mark(session, owners.values(), live=False, settle=True)


def _rewritten(sealing: Sealer, row: Row[Any]) -> tuple[object, ...]:
    """(via, key, source, value, first_value, fits, first_fits) by the definition of today."""
    kept, fits = _fitted(sealing, row.via, row.key, row.value)
    begun, first_fits = _fitted(sealing, row.via, row.key, row.first_value)
    return row.via, row.key, row.source, kept, begun if first_fits else None, fits, first_fits


def _fitted(sealing: Sealer, via: UUID, key: str, said: str | None) -> tuple[str | None, bool]:
    """What is to be stored for what is stored, and whether the definition takes it."""
    definition = sealing.schema.definitions.get(key)
    if said is None or definition is None or not definition.strict:
        return _again(sealing, via, key, said), True
    clear = _clear(sealing, key, said)
    try:
        value = fitted(definition, clear)
    except Unfit:
        return _again(sealing, via, key, said), False
    return _again(sealing, via, key, said if value == clear else value), True


def _clear(sealing: Sealer, key: str, said: str) -> str:
    if SEALED not in said:
        return said
    held = msgspec.json.decode(said)
    return said_in(sealing.vault, key, held) if is_sealed(held) else said


def _again(sealing: Sealer, via: UUID, key: str, said: str | None) -> str | None:
    """The same value, sealed by the current key if it is to be; as it is stored, if it is so already."""
    if said is None:
        return None
    clear = _clear(sealing, key, said)
    hidden = sealing.hides(key, clear)
    if clear is not said and hidden and ring_of(msgspec.json.decode(said)) == sealing.vault.current:
        return said
    return sealing.sealed(via, key, clear)


def _events(sealing: Sealer, found: Iterable[Sequence[object]]) -> Iterable[tuple[object, ...]]:
    for event, via, at, *parts in found:
        assert isinstance(via, UUID)  # noqa: S101 (a row)
        news = [_part(sealing, via, part) for part in parts]
        if any(news):
            yield event, at, *news


def _part(sealing: Sealer, via: UUID, part: object) -> str | None:
    """The traits of an event as they are to be stored; None when they are so already."""
    if not isinstance(part, str) or not part.startswith("{"):
        return None
    values = {name: str(value, "utf-8") for name, value in _VALUES.decode(part).items()}
    news = {
        name: _again(sealing, via, trait_key(name), said) if said != "null" else said for name, said in values.items()
    }
    if news == values:
        return None
    return _ENCODER.encode({name: msgspec.Raw(said.encode()) for name, said in news.items() if said}).decode()
