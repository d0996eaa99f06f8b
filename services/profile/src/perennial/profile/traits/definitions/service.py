"""Define traits: versions of data, in force from the next batch on, applied to what is stored behind them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.masks import class_of
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.web import etags
from perennial.profile.traits.definitions import queries, schema, telling
from perennial.profile.traits.definitions.presets import PRESETS
from perennial.profile.traits.definitions.schemas import Guess, Label, NewTrait, TraitDefined, TraitShown


async def define(session: WriteSession, who: Principal, body: TraitDefined) -> TraitShown:
    """A new definition, in the place of one that is built in or archived. Raises Conflict when the key has one."""
    await schema.change(session)
    known = await queries.one(session, body.key)
    if known is not None and not known["archived"]:
        raise Conflict(f"key: {body.key} is defined already", code="trait_exists", pointer="/key")
    if await queries.computed(session, body.key):
        raise Conflict(f"key: {body.key} is a computed trait", code="trait_exists", pointer="/key")
    version = known["version"] + 1 if known else 1
    return await _save(session, who, body.model_dump(mode="json"), version, "trait.defined")


async def adopt(session: WriteSession, who: Principal, key: str) -> TraitShown:
    """A definition of what was seen, as it was guessed, or of what is built in.

    Raises NotFound, Conflict, and Unprocessable for a key that no definition can have.
    """
    if key in PRESETS:
        return await define(session, who, TraitDefined.model_validate(PRESETS[key]))
    known = [item.key for item in await listing(session, archived=False)]
    if key in known:
        raise Conflict(f"key: {key} is defined already", code="trait_exists", pointer="path/key")
    row = await queries.seen(session, key)
    if row is None:
        raise undefined(key)
    try:
        label = Label(en=key.replace("_", " ").strip().capitalize() or key)
        guess = NewTrait(key=key, label=label, type=row["type"])
    except ValueError as error:
        raise Unprocessable("key: cannot be that of a definition", code="invalid_trait", pointer="path/key") from error
    return await define(session, who, guess)


async def redefine(session: WriteSession, who: Principal, body: TraitDefined, expected: int | None) -> TraitShown:
    """The next version of a definition. Raises NotFound, PreconditionFailed."""
    version = await _held(session, body.key, expected)
    return await _save(session, who, body.model_dump(mode="json"), version + 1, "trait.redefined")


async def archive(session: WriteSession, who: Principal, key: str, expected: int | None) -> TraitShown:
    """Take a definition out of force: what was said stays, and is shown as of any undefined trait."""
    version = await _held(session, key, expected)
    known = await queries.one(session, key)
    assert known is not None  # noqa: S101 (held)
    return await _save(session, who, known["definition"], version + 1, "trait.archived", archived=True)


async def _held(session: WriteSession, key: str, expected: int | None) -> int:
    await schema.change(session)
    known = await queries.one(session, key)
    if known is None or known["archived"]:
        raise undefined(key)
    etags.match(expected, known["version"])
    return int(known["version"])


async def _save(
    session: WriteSession, who: Principal, body: Mapping[str, Any], version: int, action: str, *, archived: bool = False
) -> TraitShown:
    await queries.save(session, body, version, f"{who.kind}:{who.id}", archived=archived)
    await telling.tell(session, body["key"])
    await audit.record(session, who, action, body["key"], {"version": version})
    return await shown(session, body["key"])


async def shown(session: ReadSession, key: str) -> TraitShown:
    """One trait that is defined or built in. Raises NotFound."""
    row = await queries.one(session, key)
    if row is not None:
        return of_shop(row)
    if key in PRESETS:
        return preset(key)
    raise undefined(key)


async def listing(session: ReadSession, *, archived: bool) -> list[TraitShown]:
    """Every trait that is defined or built in, by key."""
    rows = {row["key"]: of_shop(row) for row in await queries.every(session)}
    known = {**{key: preset(key) for key in PRESETS}, **rows}
    return [item for _, item in sorted(known.items()) if archived or item.state != "archived"]


async def proposed(session: ReadSession, after: str, limit: int) -> list[Guess]:
    """Traits that events have said and that nobody has defined, by key."""
    known = [item.key for item in await listing(session, archived=False)]
    return [
        Guess.model_validate({**row, "sensitivity": class_of(row["key"])})
        for row in await queries.proposed(session, known, after, limit)
    ]


def of_shop(row: RowMapping) -> TraitShown:
    """A stored definition."""
    definition = TraitDefined.model_validate(row["definition"])
    return TraitShown(
        key=row["key"],
        state="archived" if row["archived"] else "active",
        version=row["version"],
        definition=definition,
        sensitivity=schema.read(row["definition"]).sensitivity,
        applied=row["applied"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def preset(key: str) -> TraitShown:
    """A trait that is built in."""
    definition = TraitDefined.model_validate(PRESETS[key])
    return TraitShown(
        key=key, state="preset", version=0, definition=definition, sensitivity=class_of(key), applied=True
    )


def undefined(key: str) -> NotFound:
    """What to raise for a key that has no definition."""
    return NotFound(f"key: the trait {key} is not defined", pointer="path/key")
