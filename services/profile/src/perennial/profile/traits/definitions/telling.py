"""What other services are told of definitions: that there is a trait, and of which type."""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import RowMapping, text

from perennial.common.contracts.profile import TraitDefinition, TraitsDefined
from perennial.common.db import ReadSession, WriteSession
from perennial.common.failures import is_infrastructure
from perennial.common.outbox import emit
from perennial.common.runtime import Runtime
from perennial.profile.computed.spec import Function
from perennial.profile.traits.definitions import queries
from perennial.profile.traits.definitions.presets import PRESETS

log = structlog.get_logger()

PER_FACT = 500
ANY, NUMBER = "any", "number"
_TYPES: Mapping[Function, str] = {
    "most_frequent": "string",
    "unique_list": "list",
    "breakdown": "object",
    "first": "datetime",
    "last": "datetime",
}
_COMPUTED = """SELECT key, version, state, spec FROM computed_trait"""


async def tell(session: WriteSession, key: str) -> None:
    """Say how a definition is now."""
    row = await queries.one(session, key)
    assert row is not None  # noqa: S101 (just written)
    await emit(session, TraitsDefined(traits=[_of_shop(row)]))


async def tell_computed(session: WriteSession, key: str) -> None:
    """Say how a computed trait is now."""
    found = await session.execute(text(f"{_COMPUTED} WHERE key = :key"), {"key": key})
    await emit(session, TraitsDefined(traits=[_of_computed(row) for row in found.mappings()]))


async def every(session: ReadSession) -> list[TraitDefinition]:
    """All that there is to say."""
    shop = {row["key"]: _of_shop(row) for row in await queries.every(session)}
    built_in = {key: _of(key, body, version=0, archived=False) for key, body in PRESETS.items()}
    computed = [_of_computed(row) for row in (await session.execute(text(f"{_COMPUTED} ORDER BY key"))).mappings()]
    return [*{**built_in, **shop}.values(), *computed]


async def announce(runtime: Runtime) -> None:
    """Say all of it once, as soon as the database is there: what is built in may have changed."""
    while not runtime.stopping.is_set():
        try:
            async with runtime.database.write() as session:
                known = await every(session)
                parts = (known[start : start + PER_FACT] for start in range(0, len(known), PER_FACT))
                await emit(session, *(TraitsDefined(traits=part) for part in parts))
        except Exception as error:
            if not is_infrastructure(error):
                raise
            log.warning("definitions.waiting", error=repr(error))
            await runtime.pause(2)
        else:
            return


def _of_shop(row: RowMapping) -> TraitDefinition:
    """Of a key that is built in, an archived definition leaves what it was."""
    if row["archived"] and row["key"] in PRESETS:
        return _of(row["key"], PRESETS[row["key"]], version=row["version"], archived=False)
    return _of(row["key"], row["definition"], version=row["version"], archived=row["archived"])


def _of(key: str, body: Mapping[str, Any], *, version: int, archived: bool) -> TraitDefinition:
    kind = body.get("type", "string")
    values = [str(choice["value"]) for choice in body.get("values") or ()]
    return TraitDefinition(key=key, type=kind, values=values, archived=archived, version=version)


def _of_computed(row: RowMapping) -> TraitDefinition:
    spec = row["spec"]
    of_value = spec["function"] in {"first", "last"} and spec.get("property")
    kind = ANY if of_value else _TYPES.get(spec["function"], NUMBER)
    archived = row["state"] == "archived"
    return TraitDefinition(key=row["key"], type=kind, computed=True, archived=archived, version=row["version"])
