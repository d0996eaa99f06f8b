"""Routes of imports."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common import operations
from perennial.common.auth import Principal, requires
from perennial.common.db import WriteSession
from perennial.common.operations import OperationOut
from perennial.common.problems import ContentTooLarge, Unavailable, UnsupportedMediaType
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.deps import runtime_of
from perennial.gateway.deps import EdgeOf
from perennial.gateway.imports import encodings, known, queries, service
from perennial.gateway.imports.mapping import Name
from perennial.gateway.imports.schemas import ImportOut, MappingOut, NewMapping, Wanted
from perennial.gateway.settings import GatewaySettings

router = APIRouter(tags=["imports"])

May = Annotated[Principal, Depends(requires("customers:import"))]
Encoding = Literal["utf-8", "gbk", "gb18030", "utf-16", "utf-16le", "utf-16be", "windows-1252"]
SPOOLED = 1 << 20
UPLOADS = 4
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}}
}
_TYPES = frozenset(
    {"text/csv", "text/plain", "application/csv", "application/vnd.ms-excel", "application/octet-stream"}
)
_uploading = asyncio.Semaphore(UPLOADS)


@router.post("/v1/imports", status_code=201, responses=documented(400, 403, 404, 413, 415), openapi_extra=_BODY)
async def upload_customers(
    request: Request,
    response: Response,
    who: May,
    edge: EdgeOf,
    source_id: Annotated[str, Query(max_length=100, description="A source that may import; the events are its own.")],
    name: Annotated[Name, Query(description="Of the file, for people.")] = "customers.csv",
    encoding: Annotated[Encoding | None, Query(description="Else as the file says, or UTF-8, or GBK.")] = None,
    delimiter: Annotated[Literal[",", ";", "\t", "|"] | None, Query(description="Else by the header.")] = None,
) -> ImportOut:
    """Upload a CSV file of at most 100 MB, which is kept for a week; nothing is imported yet."""
    _check_type(request)
    if _uploading.locked():
        raise Unavailable("too many files are arriving at once", code="overloaded")
    async with _uploading:
        with tempfile.SpooledTemporaryFile(SPOOLED) as spool:
            file = cast("BinaryIO", spool)
            await _spool(request, file, edge.settings.body_seconds)
            told = await asyncio.to_thread(encodings.detected, file) if encoding is None else encoding
            async with edge.runtime.database.write() as session:
                found = await service.upload(session, who, source_id, name, file, told, delimiter)
    response.headers["Location"] = f"/v1/imports/{found.id}"
    return ImportOut.model_validate(found, from_attributes=True)


def _check_type(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding must be identity", headers={"Accept-Encoding": "identity"})
    sent = request.headers.get("content-type", "text/csv").partition(";")[0].strip().lower()
    if sent not in _TYPES:
        raise UnsupportedMediaType("Content-Type must be text/csv: send the file itself", pointer="header/Content-Type")


async def _spool(request: Request, file: BinaryIO, seconds: float) -> None:
    seen = 0
    async for chunk in _within(request.stream(), seconds):
        seen += len(chunk)
        if seen > service.LIMIT:
            raise ContentTooLarge(f"body is larger than {service.LIMIT} bytes")
        file.write(chunk)


async def _within(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The chunks, as long as each comes in time: a large file may take long, a silent client may not."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Unavailable(f"the body stopped arriving for {seconds:g} s", code="body_timeout") from error
        yield chunk


@router.get("/v1/imports/{import_id}", responses=documented(404))
async def get_import(import_id: UUID, who: May, session: Read) -> ImportOut:
    """An uploaded file of one's own: its columns, the first rows, and a mapping that suggests itself."""
    return ImportOut.model_validate(await service.shown(session, who, import_id), from_attributes=True)


@router.post(
    "/v1/imports/{import_id}/check", status_code=202, response_model=OperationOut,
    responses=documented(400, 403, 404, 409, 503),
)  # fmt: skip
async def check_import(
    import_id: UUID, body: Wanted, request: Request, session: Write, who: May, once: Idempotent
) -> Response:
    """Try an import: the operation counts who would be new and who is known, and lists what is wrong, row by row.

    Rows are counted, not people: `created` has a newcomer of two rows twice.
    """
    return await _start(import_id, body, request, session, who, once, service.CHECK)


@router.post(
    "/v1/imports/{import_id}/run", status_code=202, response_model=OperationOut,
    responses=documented(400, 403, 404, 409, 503),
)  # fmt: skip
async def run_import(
    import_id: UUID, body: Wanted, request: Request, session: Write, who: May, once: Idempotent
) -> Response:
    """Import: every sound row becomes an identify event. A second run of a file by the same mapping changes nothing."""
    return await _start(import_id, body, request, session, who, once, service.RUN)


async def _start(
    import_id: UUID, body: Wanted, request: Request, session: WriteSession, who: Principal, once: Any, kind: str
) -> Response:
    async def work() -> OperationOut:
        mapping = body.mapping
        if mapping is None:
            kept = await service.mapping_of(session, body.mapping_name or "")
            mapping = MappingOut.model_validate(kept, from_attributes=True).mapping
        settings = cast("GatewaySettings", runtime_of(request).settings)
        givable = await known.givable(settings, who, mapping.columns)
        return await service.start(session, who, import_id, kind, mapping, givable)

    return await operations.accepted(request, once, session, work)


@router.post("/v1/import-mappings", status_code=201, responses=documented(400, 409))
async def keep_mapping(body: NewMapping, session: Write, who: May, response: Response) -> MappingOut:
    """Keep a mapping under a name, for other files of its kind."""
    found = await service.keep(session, who, body.name, body.mapping)
    response.headers["Location"] = f"/v1/import-mappings/{found.name}"
    return MappingOut.model_validate(found, from_attributes=True)


@router.get("/v1/import-mappings", responses=documented(400))
async def list_mappings(session: Read, _: May, page: PageQuery) -> Page[MappingOut]:
    """Mappings by name."""
    found = await queries.mappings(session, last_text(page), page.limit + 1)
    shown = [MappingOut.model_validate(one, from_attributes=True) for one in found]
    return paged(shown, page, lambda one: [one.name])


@router.get("/v1/import-mappings/{name}", responses=documented(404))
async def get_mapping(name: str, session: Read, _: May) -> MappingOut:
    """One mapping."""
    return MappingOut.model_validate(await service.mapping_of(session, name), from_attributes=True)


@router.delete("/v1/import-mappings/{name}", status_code=204, responses=documented(404))
async def drop_mapping(name: str, session: Write, _: May) -> None:
    """Forget a mapping."""
    await service.drop(session, name)
