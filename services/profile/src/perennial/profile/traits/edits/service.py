"""Write traits by hand: checked as the form says, on the record, and undone by giving the trait back to its sources."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import audit, derive, identity_map, masks
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit
from perennial.common.problems import Forbidden, Unprocessable
from perennial.common.rules import trait_key
from perennial.profile.params import nobody
from perennial.profile.rows import service as rows
from perennial.profile.traits import queries as words
from perennial.profile.traits import sealing
from perennial.profile.traits.definitions import schema
from perennial.profile.traits.definitions.kinds import Definition, Unfit, encoded, fitted
from perennial.profile.traits.definitions.schema import Schema
from perennial.profile.traits.edits import queries
from perennial.profile.traits.edits.schemas import (
    Edited,
    Fate,
    Statement,
    TraitEdit,
    TraitExplained,
    TraitsEdit,
    TraitsEdited,
)
from perennial.profile.traits.queries import Said, Words
from perennial.profile.traits.survivors import MANUAL

EXTREMES = frozenset({"min", "max"})
COUNTED = frozenset({"min", "max", "sum", "union"})
_LATER: Mapping[str, Fate] = {"first": "later", "longest": "shorter"}


async def edit(session: WriteSession, who: Principal, any_id: UUID, wanted: TraitsEdit) -> TraitsEdited:
    """Write traits of a customer by hand. Raises NotFound, Forbidden for what is masked, Unprocessable."""
    sealer = await sealing.sealer(session)
    values = _checked(schema.seeing(who, sealer.schema), sealer.schema, wanted)
    known, customer = sealer.schema.definitions, await _held(session, any_id)
    now, keys = utc_now(), [*values, *{trait_key(name) for name in wanted.give_back}]
    before = await queries.shown(session, customer, keys)
    said = [_said(sealer, customer, key, value, now) for key, value in sorted(values.items())]
    if said:
        await words.write(session, [Words(one, one if one.value is not None else None) for one in said])
    given_back = sorted({trait_key(name) for name in wanted.give_back})
    await queries.give_back(session, customer, given_back)
    notes = [(one.key, one.value, False) for one in said] + [(key, None, True) for key in given_back]
    by = f"{who.kind}:{who.id}"
    await queries.add(
        session,
        [
            (uuid7(), customer, key, value, _kept(sealer, customer, key, before.get(key)), back, wanted.reason, by, now)
            for key, value, back in notes
        ],
    )
    await _follow(session, customer, keys)
    after = await queries.shown(session, customer, keys)
    await audit.record(session, who, "traits.edited", str(customer), {"fields": sorted(keys), "reason": wanted.reason})
    stands = {key: _stands(known.get(key), value, after.get(key), now) for key, value in values.items()}
    return TraitsEdited(id=customer, at=now, traits={key: Edited(shown=stands.get(key, False)) for key in keys})


async def _held(session: WriteSession, any_id: UUID) -> UUID:
    """Today's customer, locked."""
    customer = await identity_map.customer_of(session, any_id)
    while customer is not None:
        await identity_map.lock_customers(session, [customer])
        again = await identity_map.customer_of(session, any_id)
        if again == customer:
            return customer
        customer = again
    raise nobody(any_id)


def _checked(who: Principal, known: Schema, wanted: TraitsEdit) -> dict[str, str | None]:
    """The JSON text of each trait in its canonical form. Raises Forbidden, Unprocessable."""
    found: dict[str, str | None] = {}
    for name, value in wanted.traits.items():
        key, pointer = trait_key(name), f"/traits/{name}"
        if key in found:
            raise Unprocessable(f"traits: {key} is named twice", code="invalid_trait", pointer=pointer)
        found[key] = _value(who, known.definitions.get(key), key, value, pointer)
    for index, name in enumerate(wanted.give_back):
        pointer = f"/give_back/{index}"
        if trait_key(name) in found:
            raise Unprocessable("give_back: what is written is not given back", code="invalid_trait", pointer=pointer)
        _allowed(who, trait_key(name), pointer)
    if not found and not wanted.give_back:
        raise Unprocessable(
            "traits: nothing is written and nothing given back", code="invalid_trait", pointer="/traits"
        )
    return found


def _value(who: Principal, definition: Definition | None, key: str, value: Any, pointer: str) -> str | None:
    _allowed(who, key, pointer)
    if definition is None:
        raise Unprocessable(f"{key}: no such trait is defined", code="trait_undefined", pointer=pointer)
    if definition.strategy == "sum":
        raise Unprocessable(f"{key}: it is a sum of what sources say", code="trait_read_only", pointer=pointer)
    if value is None:
        if definition.required:
            raise Unprocessable(f"{key}: it is required", code="invalid_trait", pointer=pointer)
        return None
    try:
        return fitted(definition, encoded(value))
    except Unfit as error:
        said = f"{key}: not a {definition.type} as it is defined ({error})"
        raise Unprocessable(said, code="invalid_trait", pointer=pointer) from error


def _allowed(who: Principal, key: str, pointer: str) -> None:
    if not masks.sees(who, key):
        raise Forbidden(f"{key}: who does not see it does not change it", code="field_hidden", pointer=pointer)


def _said(sealer: sealing.Sealer, customer: UUID, key: str, value: str | None, now: datetime) -> Said:
    sealed = None if value is None else sealer.sealed(customer, key, value)
    return Said(customer, key, sealed, (now, MANUAL, str(uuid7())), live=True)


def _kept(sealer: sealing.Sealer, customer: UUID, key: str, row: Row[Any] | None) -> str | None:
    """What was shown, as the record keeps it: sealed for this customer, whoever's identifier had said it."""
    if row is None:
        return None
    return sealer.sealed(customer, key, encoded(sealing.opened(sealer.vault, key, row.value)))


def _stands(definition: Definition | None, said: str | None, row: Row[Any] | None, now: datetime) -> bool:
    if said is None or row is None:
        return said is None and row is None
    if definition is not None and definition.strategy in EXTREMES:
        return bool(row.value == json.loads(said))
    return bool(row.source == MANUAL and row.at == now)


async def _follow(session: WriteSession, customer: UUID, keys: list[str]) -> None:
    """The derived row, the fact, and the mark for all else."""
    changes = await rows.refresh(session, [customer], tell=True)
    vault = sealing.vault_of(session)
    if customer in changes:
        old, new = (sealing.opened_traits(vault, traits) for traits in changes[customer])
        changed = {key: new.get(key) for key in keys if old.get(key) != new.get(key)}
        if changed:
            await emit(session, TraitsChanged(via=customer, customer=customer, traits=changed))
    await derive.mark(session, [customer], live=True)


async def explained(session: ReadSession, who: Principal, any_id: UUID, key: str) -> TraitExplained:
    """What a customer shows for a trait, and what each source says of it. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    known, vault = await schema.in_force(session), sealing.vault_of(session)
    definition = known.own.get(key) or Definition(key)
    top = (await queries.shown(session, customer, [key])).get(key)
    found = await queries.statements(session, customer, key)
    return TraitExplained(
        id=customer,
        key=key,
        strategy=definition.strategy,
        value=None if top is None else sealing.opened(vault, key, top.value),
        statements=[
            Statement(
                via=row.via, source=row.source, value=sealing.opened(vault, key, row.value), at=row.at,
                fate=_fate(definition, row, top),
            )
            for row in found
        ],
    ).seen_by(schema.seeing(who, known))  # fmt: skip


def _fate(definition: Definition, row: Row[Any], top: Row[Any] | None) -> Fate:
    at = row.first_at if definition.strategy == "first" else row.at
    if not row.fits:
        return "unfit"
    if row.value is None:
        return "cleared"
    if definition.strategy in COUNTED:
        return "counted"
    if top is not None and (at, row.source) == (top.at, top.source):
        return "shown"
    if top is not None and _rank(definition, row.source) > _rank(definition, top.source):
        return "less_trusted"
    return _LATER.get(definition.strategy, "older")


def _rank(definition: Definition, source: str) -> int:
    if definition.strategy == "manual-wins" and source == MANUAL:
        return -1
    return definition.sources.index(source) if source in definition.sources else len(definition.sources)


async def history(
    session: ReadSession, who: Principal, any_id: UUID, key: str, before: UUID | None, limit: int
) -> list[TraitEdit]:
    """Edits of a trait by hand, newest first. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    vault, seen = sealing.vault_of(session), schema.seeing(who, await schema.in_force(session))
    found = await queries.history(session, customer, key, before, limit)
    return [
        TraitEdit.model_validate(
            {
                **row._mapping,  # noqa: SLF001 (the public name of it)
                "value": sealing.opened(vault, key, row.value),
                "before": sealing.opened(vault, key, row.before),
            }
        ).seen_by(seen)
        for row in found
    ]
