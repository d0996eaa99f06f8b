"""The verbs of ticket types: make, replace, load."""

from collections.abc import Iterable, Mapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.masks import Sensitivity
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.web.etags import NEW, match
from perennial.tickets.calendars import queries as calendars
from perennial.tickets.types import queries
from perennial.tickets.types.definition import FormField, TypeDefinition
from perennial.tickets.types.models import TypeRow
from perennial.tickets.types.sensitivity import strictest

MOST_TYPES = 10_000
Form = Mapping[str, FormField]


async def find(session: ReadSession, key: str) -> TypeRow:
    """The type in force. Raises NotFound."""
    found = await queries.newest(session, key)
    if found is None:
        raise NotFound(f"type: there is none called {key}", pointer="path/key")
    return found


async def for_new_tickets(session: ReadSession, key: str) -> tuple[int, TypeDefinition]:
    """The version in force and what it says. Raises Unprocessable when no ticket can be of that type."""
    row = await queries.newest(session, key)
    definition = TypeDefinition.model_validate(row.definition) if row is not None else None
    if row is None or definition is None or definition.archived:
        raise Unprocessable(f"type: there is none called {key}", code="unknown_type", pointer="/type")
    return row.version, definition


async def load(session: ReadSession, key: str, version: int) -> TypeDefinition:
    """The type that a ticket was opened with."""
    row = await session.get_one(TypeRow, (key, version))
    return TypeDefinition.model_validate(row.definition)


async def forms_of(session: ReadSession, versions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Form]:
    """The forms that tickets were opened with: fields by name."""
    found = {version: await load(session, *version) for version in sorted(set(versions))}
    return {version: {field.name: field for field in definition.fields} for version, definition in found.items()}


async def known_fields(session: ReadSession) -> dict[str, Sensitivity]:
    """The fields of all forms in force, each as sensitive as the strictest of them says."""
    rows = await queries.page(session, "", MOST_TYPES)
    return strictest(TypeDefinition.model_validate(row.definition).fields for row in rows)


async def create(session: WriteSession, who: Principal, key: str, definition: TypeDefinition) -> TypeRow:
    """A new type. Raises Conflict."""
    await lock(session, "tickets", "type", key)
    if await queries.newest(session, key) is not None:
        raise Conflict(f"key: there is a type called {key}", code="key_taken", pointer="/key")
    return await _add(session, who, key, 1, definition)


async def replace(
    session: WriteSession, who: Principal, key: str, expected: int | None, definition: TypeDefinition
) -> TypeRow:
    """A new version, or with NEW the first, for tickets opened from now on. Raises NotFound, PreconditionFailed."""
    await lock(session, "tickets", "type", key)
    if expected == NEW and await queries.newest(session, key) is None:
        return await _add(session, who, key, 1, definition)
    before = await find(session, key)
    match(expected, before.version)
    return await _add(session, who, key, before.version + 1, definition)


async def _add(session: WriteSession, who: Principal, key: str, version: int, definition: TypeDefinition) -> TypeRow:
    if await calendars.newest(session, definition.calendar) is None:
        raise Unprocessable(
            f"calendar: there is none called {definition.calendar}", code="unknown_calendar", pointer="/calendar"
        )
    row = TypeRow(key=key, version=version, definition=definition.model_dump(mode="json"))
    session.add(row)
    await session.flush()
    await audit.record(session, who, "ticket_type.written", key, {"version": version})
    return row
