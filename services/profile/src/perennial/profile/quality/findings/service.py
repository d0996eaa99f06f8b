"""Apply a rule to what is stored, and undo what rules did: both on request only, both keep what was said."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import derive, identity_map
from perennial.common.db import WriteSession, lock
from perennial.profile.quality.findings import queries, records
from perennial.profile.quality.rules.guards import Guard, digest, put
from perennial.profile.traits import queries as traits
from perennial.profile.traits import sealing
from perennial.profile.traits.definitions.kinds import Unfit, fitted
from perennial.profile.traits.queries import Said, Words
from perennial.profile.traits.sealing import Sealer


async def apply(session: WriteSession, guard: Guard, vias: Sequence[UUID]) -> int:
    """Do with what is stored under identifiers what the rule does with what comes in. Returns how many it caught."""
    sealer = await sealing.sealer(session)
    if guard.kind == "duplicate":
        await lock(session, "profile", "quality", guard.key)
    rows = [row for row in await queries.statements(session, vias, guard.key) if guard.meant(row.source)]
    caught = await _caught(session, guard, rows)
    found = [(row, put(guard, said := _said(sealer, row), usual), said) for row, usual in caught]
    findings = [guard.finding(said, taken, records.stated(row)) for row, taken, said in found]
    await records.write(session, findings, sealer)
    if guard.action != "flag":
        await _take(session, guard, [(row, taken) for row, taken, _ in found])
        await _derive(session, {row.via for row, _, _ in found})
    return len(found)


async def _caught(session: WriteSession, guard: Guard, rows: Sequence[Row[Any]]) -> list[tuple[Row[Any], Any]]:
    if guard.kind == "duplicate":
        later = await queries.later(session, guard.key, [(row.via, row.source) for row in rows])
        return [(row, None) for row in rows if (row.via, row.source) in later]
    values = [(row, value) for row in rows if (value := guard.scale.number(row.value)) is not None]
    return [(row, usual) for row, value in values if (usual := guard.usual(value)) != value]


def _said(sealer: Sealer, row: Row[Any]) -> Said:
    return Said(row.via, row.key, _clear(sealer, row.key, row.value), (row.at, row.source, row.message_id), live=False)


def _clear(sealer: Sealer, key: str, said: str) -> str:
    value = json.loads(said) if sealing.SEALED in said else {}
    return sealing.said_in(sealer.vault, key, value) if sealing.is_sealed(value) else said


async def _take(session: WriteSession, guard: Guard, found: Iterable[tuple[Row[Any], Said | None]]) -> None:
    pairs = list(found)
    gone = [(row.via, row.key, row.source) for row, taken in pairs if taken is None or taken.value is None]
    if guard.action == "quarantine":
        await queries.remove(session, gone)
        return
    await queries.replace(
        session,
        [(row.via, row.key, row.source, taken and taken.value, row.at, row.message_id) for row, taken in pairs],
    )
    await queries.unindex(session, gone)


async def restore(session: WriteSession, ids: Iterable[UUID]) -> int:
    """Put back what was said, where nothing newer was; a mere flag is taken off. Returns how many findings it ended.

    A value that the definition of today does not take stays where it is.
    """
    sealer = await sealing.sealer(session)
    rows = [row for row in await queries.held(session, ids) if _fits(sealer, row)]
    unique = await records.unique_keys(session)
    for key in sorted({row.key for row in rows} & unique):
        await lock(session, "profile", "quality", key)
    aside = [row for row in rows if row.action == "quarantine" and row.value is not None]
    changed = [row for row in rows if row.action in {"null", "clip"}]
    if aside:
        await traits.write(session, [_words(row) for row in aside])
    await queries.replace(
        session, [(row.via, row.key, row.source, row.value, row.at, row.message_id) for row in changed]
    )
    said = [_said(sealer, row) for row in [*aside, *changed] if row.key in unique]
    await records.index(session, [(one, digest(session, one.key, one.value or "null")) for one in said])
    await queries.end(session, rows, "released")
    await _derive(session, {row.via for row in [*aside, *changed]})
    return len(rows)


def _fits(sealer: Sealer, row: Row[Any]) -> bool:
    definition = sealer.schema.definitions.get(row.key)
    if row.action == "flag" or row.value is None or definition is None or not definition.strict:
        return True
    try:
        fitted(definition, _clear(sealer, row.key, row.value))
    except Unfit:
        return False
    return True


def _words(row: Row[Any]) -> Words:
    last = Said(row.via, row.key, row.value, (row.at, row.source, row.message_id), live=False)
    first: Mapping[str, Any] = row.first or {}
    if first.get("value") is None:
        return Words(last, last)
    stamp = (datetime.fromisoformat(first["at"]), row.source, first["message_id"])
    return Words(last, Said(row.via, row.key, first["value"], stamp, live=False))


async def reseal(session: WriteSession, after: UUID, limit: int) -> UUID | None:
    """Seal what findings hold by the first key of the ring; the last id that was looked at, None at the end."""
    sealer = await sealing.sealer(session)
    found = await queries.sealed(session, after, limit)
    rows = [(row.id, *(_again(sealer, row, said) for said in (row.value, row.taken, row.first_value))) for row in found]
    await queries.seal(session, [new for row, new in zip(found, rows, strict=True) if new[1:] != tuple(row[3:])])
    return found[-1].id if len(found) == limit else None


def _again(sealer: Sealer, row: Row[Any], said: str | None) -> str | None:
    held = json.loads(said) if said and sealing.SEALED in said else {}
    if said is None or not sealing.is_sealed(held) or sealing.ring_of(held) == sealer.vault.current:
        return said
    return sealing.seal(sealer.vault, row.via, row.key, sealing.said_in(sealer.vault, row.key, held))


async def _derive(session: WriteSession, vias: set[UUID]) -> None:
    owners = await identity_map.customers_of(session, vias) if vias else {}
    await derive.mark(session, owners.values(), live=False)
