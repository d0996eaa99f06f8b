"""The definitions in force, as one batch or one request uses them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock_key
from perennial.common.db.sessions import ASIDE
from perennial.common.masks import Sensitivity, class_of
from perennial.profile.computed.checks import sensitivity_of
from perennial.profile.computed.spec import Spec
from perennial.profile.traits.definitions.kinds import LONGEST_TEXT, MOST_ITEMS, Definition, bound, compiled
from perennial.profile.traits.definitions.presets import PRESETS

STRICTNESS: tuple[Sensitivity, ...] = ("public", "personal", "sensitive")
_LOCK = lock_key("profile", "trait_definition")
_HOLD = text("SELECT pg_advisory_xact_lock_shared(:key)")
_CHANGE = text("SELECT pg_advisory_xact_lock(:key)")
_REVISION = text("""
    SELECT (SELECT coalesce(md5(string_agg(revision::text, ',' ORDER BY key)), '') FROM trait_definition) AS own,
           (SELECT md5(string_agg(key || coalesce(extract(epoch FROM ready_at)::text, ''), ',' ORDER BY key))
            FROM computed_trait WHERE served IS NOT NULL) AS computed""")
_COMPUTED = text("SELECT key, served::text AS spec FROM computed_trait WHERE served IS NOT NULL ORDER BY key")
_DEFINITIONS = text("SELECT definition FROM trait_definition WHERE NOT archived ORDER BY key")


@dataclass(frozen=True)
class Schema:
    """Definitions by key; `own` are the shop's, the others built in. `revision` differs after every change of `own`.

    `computed` says how sensitive computed traits are.
    """

    revision: str
    own: Mapping[str, Definition]
    computed: Mapping[str, Sensitivity] = field(default_factory=dict)
    definitions: Mapping[str, Definition] = field(init=False)
    classes: Mapping[str, Sensitivity] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "definitions", {**_BUILT_IN, **self.own})
        object.__setattr__(
            self, "classes", {**self.computed, **{key: one.sensitivity for key, one in self.own.items()}}
        )

    def class_of(self, key: str) -> Sensitivity:
        """How sensitive a trait is here."""
        return self.classes.get(key) or class_of(key)


def read(body: Mapping[str, Any], *, strict: bool = True) -> Definition:
    """A definition from its stored body."""
    key, kind = body["key"], body.get("type", "string")
    known, lowered = class_of(key), bool(body.get("sensitivity_lowered"))
    wanted: Sensitivity = body.get("sensitivity") or known
    return Definition(
        key=key,
        type=kind,
        strategy=body.get("strategy", "latest"),
        sources=tuple(body.get("sources", ())),
        sensitivity=wanted if lowered else max(wanted, known, key=STRICTNESS.index),
        strict=strict,
        lowered=lowered,
        pattern=compiled(body["pattern"]) if body.get("pattern") else None,
        shortest=body.get("min_length") or 0,
        longest=body.get("max_length") or LONGEST_TEXT,
        least=bound(kind, body["minimum"]) if body.get("minimum") else None,
        most=bound(kind, body["maximum"]) if body.get("maximum") else None,
        whole=bool(body.get("whole")),
        choices={one["value"].strip().lower(): one["value"] for one in body.get("values") or ()},
        items=body.get("items") or "string",
        most_items=body.get("max_items") or MOST_ITEMS,
        currency=body.get("currency"),
        required=bool(body.get("required")),
    )


_BUILT_IN = {key: read(body, strict=False) for key, body in PRESETS.items()}
NOTHING = Schema("", {})


async def in_force(session: ReadSession) -> Schema:
    """The definitions of now: as the transaction sees them, read once for each version of them."""
    own, computed = (await session.execute(_REVISION)).one()
    found = _KNOWN.get((own, computed))
    if found is None:
        bodies = (await session.execute(_DEFINITIONS)).scalars()
        served = await session.execute(_COMPUTED)
        classes = {row.key: sensitivity_of(Spec.model_validate_json(row.spec)) for row in served}
        found = Schema(own, {body["key"]: read(body) for body in bodies}, classes)
        _KNOWN.clear()
        _KNOWN[own, computed] = found
    return found


_KNOWN: dict[tuple[str, str | None], Schema] = {}


async def hold(session: WriteSession) -> None:
    """Keep the definitions as they are until the transaction ends: whoever changes them waits for batches under way.

    So no value is ever checked by a definition that was already replaced when it is written.
    """
    if not session.info.get(ASIDE):
        await session.execute(_HOLD, {"key": _LOCK})


async def change(session: WriteSession) -> None:
    """Wait until nobody is writing by the definitions, and keep others away until the transaction ends."""
    await session.execute(_CHANGE, {"key": _LOCK})


def seeing(who: Principal, schema: Schema) -> Principal:
    """The principal with the shop's own classes: `masks` judges by them."""
    return dataclasses.replace(who, classes=schema.classes) if schema.classes else who
