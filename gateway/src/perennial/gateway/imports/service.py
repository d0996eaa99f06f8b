"""Take a file in, and start what is done with it."""

from collections.abc import Mapping as Document
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common import audit, operations
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.operations import OperationOut, Step, files
from perennial.common.operations import reading as kept
from perennial.common.operations.out import name_of
from perennial.common.problems import Conflict, Forbidden, NotFound, Unprocessable
from perennial.gateway.imports import encodings, queries
from perennial.gateway.imports.mapping import MOST_COLUMNS, Mapping
from perennial.gateway.imports.models import ImportMapping
from perennial.gateway.imports.reading import Read, Records, delimiter_of
from perennial.gateway.imports.rows import Plan, salt_of
from perennial.gateway.imports.suggesting import suggested
from perennial.gateway.imports.targets import placed
from perennial.gateway.sources.models import Source

UPLOAD, CHECK, RUN = "customers.upload", "customers.import_check", "customers.import"
FILE, MEDIA_TYPE = "input.csv", "text/csv; charset=utf-8"
LIMIT = 100 * 1024 * 1024
SAMPLE = 3

_MADE = text("SELECT created_at FROM operation WHERE id = :id")


class Upload(NamedTuple):
    """A file that is there, and what it says of itself."""

    id: UUID
    name: str
    source_id: str
    encoding: str
    delimiter: str
    bytes: int
    columns: list[str]
    sample: list[list[str]]
    suggested: Mapping | None


async def upload(
    session: WriteSession,
    by: Principal,
    source_id: str,
    name: str,
    file: BinaryIO,
    encoding: str,
    delimiter: str | None,
) -> Upload:
    """Keep a file, as UTF-8; it is there for a week. Raises Unprocessable for one that cannot be read."""
    await importing(session, source_id)
    given = {"source_id": source_id, "name": name, "encoding": encoding, "delimiter": delimiter}
    started = await operations.start(session, by, UPLOAD, given)
    size = await operations.save(session, started.id, FILE, MEDIA_TYPE, encodings.transcoded(file, encoding), 2 * LIMIT)
    if not size:
        raise Unprocessable("body: the file is empty", code="empty_file")
    return await shown(session, by, started.id)


async def taken(_: Step) -> Document[str, Any] | None:
    """An upload is over as soon as it is there."""
    return {}


async def importing(session: ReadSession, source_id: str) -> Source:
    """A source that may import. Raises NotFound and Forbidden."""
    source = await session.get(Source, source_id)
    if source is None:
        raise NotFound(f"source_id: there is no source {source_id}", pointer="query/source_id")
    if not (source.enabled and source.may_import):
        raise Forbidden(
            "source_id: the source is disabled or may not import", code="import_not_allowed", pointer="query/source_id"
        )
    return source


async def shown(session: ReadSession, by: Principal, import_id: UUID) -> Upload:
    """An upload, read from its beginning. Raises NotFound for one that is not there, or somebody else's."""
    found = await _upload(session, by, import_id)
    given = found.input or {}
    delimiter = await _delimiter(session, import_id, given)
    records = Records(reads(session, import_id), delimiter)
    header = await header_of(records)
    sample: list[list[str]] = []
    while len(sample) < SAMPLE and (record := await records.next(files.PART)) is not None:
        sample.append(record.cells)
    _, size = await files.described(session, import_id, FILE) or (None, 0)
    return Upload(
        id=import_id,
        name=given["name"],
        source_id=given["source_id"],
        encoding=given["encoding"],
        delimiter=delimiter,
        bytes=size,
        columns=header,
        sample=sample,
        suggested=suggested(header),
    )


async def _upload(session: ReadSession, by: Principal, import_id: UUID) -> OperationOut:
    found = await kept.by_id(session, import_id)
    if found is None or found.kind != UPLOAD or found.who != name_of(by):
        raise NotFound("id: there is no such import of yours", code="unknown_import", pointer="path/import_id")
    if "gone" in (found.result or {}):
        raise _gone()
    return found


async def check_there(session: ReadSession, import_id: UUID) -> None:
    """Raises NotFound for a file that an erasure has taken."""
    if not await files.read(session, import_id, FILE, 0, 1):
        raise _gone()


def _gone() -> NotFound:
    return NotFound("id: the file is gone because of an erasure; send it again", code="file_erased")


async def _delimiter(session: ReadSession, import_id: UUID, given: Document[str, Any]) -> str:
    return given.get("delimiter") or delimiter_of(await files.read(session, import_id, FILE, 0))


def reads(session: ReadSession, import_id: UUID) -> Read:
    """The bytes of an upload from an offset on."""

    async def read(at: int) -> bytes:
        return await files.read(session, import_id, FILE, at)

    return read


async def header_of(records: Records) -> list[str]:
    """The names of the columns. Raises Unprocessable."""
    record = await records.next(files.PART)
    if record is None:
        raise Unprocessable("body: the file begins with no header", code="no_header")
    if record.fault is not None:
        raise Unprocessable(f"body: the header, line {record.line}: {record.fault}", code="invalid_header")
    if len(record.cells) > MOST_COLUMNS:
        raise Unprocessable(f"body: more than {MOST_COLUMNS} columns", code="too_many_columns")
    if any("\0" in name for name in record.cells):
        raise Unprocessable("body: the header contains NUL", code="invalid_header")
    return [name.strip() for name in record.cells]


async def start(
    session: WriteSession, by: Principal, import_id: UUID, kind: str, mapping: Mapping, givable: Sequence[str] = ()
) -> OperationOut:
    """Try an import or run it; it may give the tags `givable`. Raises Unprocessable for a mapping that does not fit."""
    found = await _upload(session, by, import_id)
    given = found.input or {}
    await importing(session, given["source_id"])
    delimiter = await _delimiter(session, import_id, given)
    records = Records(reads(session, import_id), delimiter)
    placed(await header_of(records), mapping)
    document = mapping.model_dump(mode="json", exclude_defaults=True)
    work = {
        "import_id": str(import_id),
        "name": given["name"],
        "source_id": given["source_id"],
        "delimiter": delimiter,
        "at": found.created_at.isoformat(),
        "mapping": document,
        **({"givable": list(givable)} if givable else {}),
    }
    _, size = await files.described(session, import_id, FILE) or (None, 0)
    started = await operations.start(session, by, kind, work, total=size)
    if kind == RUN:
        detail = {"source_id": given["source_id"], "name": given["name"], "operation": str(started.id)}
        await audit.record(session, by, "customers.imported", f"import/{import_id}", detail)
    return started


async def plan_of(session: ReadSession, given: Document[str, Any], header: list[str]) -> Plan:
    """How the rows of an operation are read."""
    mapping = Mapping.model_validate(given["mapping"])
    started = (await session.execute(_MADE, {"id": UUID(given["import_id"])})).scalar_one_or_none()
    if started is None:
        raise NotFound("the file is no longer there", code="unknown_import")
    salt = salt_of(UUID(given["import_id"]), given["mapping"])
    region, tags = settings_of(session).region, frozenset(given.get("givable", ()))
    return Plan(header, placed(header, mapping), started, salt, region, given["import_id"], tags)


async def mapping_of(session: ReadSession, name: str) -> ImportMapping:
    """A mapping by its name. Raises NotFound."""
    found = await queries.mapping(session, name)
    if found is None:
        raise NotFound(f"name: there is no mapping {name}", code="unknown_mapping", pointer="path/name")
    return found


async def keep(session: WriteSession, by: Principal, name: str, mapping: Mapping) -> ImportMapping:
    """Keep a mapping. Raises Conflict where the name is taken."""
    document = mapping.model_dump(mode="json", exclude_defaults=True)
    found = await queries.keep(session, {"name": name, "mapping": document, "created_by": name_of(by)})
    if found is None:
        raise Conflict(f"name: there is a mapping {name} already", code="name_taken", pointer="/name")
    return found


async def drop(session: WriteSession, name: str) -> None:
    """Forget a mapping. Raises NotFound."""
    await session.delete(await mapping_of(session, name))
