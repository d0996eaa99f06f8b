"""The verbs of ticket types: make, replace, load."""

from collections.abc import Iterable, Mapping

from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.masks import Sensitivity
from perennial.common.problems import Unprocessable
from perennial.tickets.calendars.models import CalendarRow
from perennial.tickets.types.definition import FormField, TypeDefinition
from perennial.tickets.types.models import TypeRow
from perennial.tickets.types.sensitivity import strictest
from perennial.tickets.versions import queries
from perennial.tickets.versions import service as versions

MOST_TYPES = 10_000
Form = Mapping[str, FormField]


async def find(session: ReadSession, key: str) -> TypeRow:
    """The type in force. Raises NotFound."""
    return await versions.find(session, TypeRow, key)


async def for_new_tickets(session: ReadSession, key: str) -> tuple[int, TypeDefinition]:
    """The version in force and what it says. Raises Unprocessable when no ticket can be of that type."""
    row = await queries.newest(session, TypeRow, key)
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
    rows = await queries.page(session, TypeRow, "", MOST_TYPES)
    return strictest(TypeDefinition.model_validate(row.definition).fields for row in rows)


async def create(session: WriteSession, who: Principal, key: str, definition: TypeDefinition) -> TypeRow:
    """A new type. Raises Conflict, and Unprocessable without its calendar."""
    await _check_calendar(session, definition.calendar)
    return await versions.create(session, who, TypeRow, key, definition)


async def replace(
    session: WriteSession, who: Principal, key: str, expected: int | None, definition: TypeDefinition
) -> TypeRow:
    """A new version, or with NEW the first. Raises NotFound, PreconditionFailed; Unprocessable without its calendar."""
    await _check_calendar(session, definition.calendar)
    return await versions.replace(session, who, TypeRow, key, expected, definition)


async def _check_calendar(session: ReadSession, key: str) -> None:
    if await queries.newest(session, CalendarRow, key) is None:
        raise Unprocessable(f"calendar: there is none called {key}", code="unknown_calendar", pointer="/calendar")
