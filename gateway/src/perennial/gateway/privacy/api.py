"""Routes of exports: of a customer, by staff; and of oneself."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from perennial.common import operations
from perennial.common.auth import Authenticated, Principal, requires
from perennial.common.db import ReadSession
from perennial.common.operations import Async, OperationOut, files
from perennial.common.operations import reading as queries
from perennial.common.operations.out import name_of
from perennial.common.problems import Forbidden, NotFound, documented
from perennial.common.web import Idempotent, Read, Repeatable, Write
from perennial.common.web.deps import runtime_of
from perennial.gateway.privacy import export

router = APIRouter(tags=["privacy"])

May = Annotated[Principal, Depends(requires("customers:reveal", "privacy:write"))]
_ZIP = {
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    "description": "The archive.",
}


class MyExport(BaseModel):
    """What became of the wish for one's data; at `ready` the archive is at `/v1/me/export/file`."""

    id: UUID
    state: str
    ready: bool
    expires_at: str | None


@router.post(
    "/v1/customers/{id}/export", status_code=202, response_model=OperationOut, responses=documented(400)
)  # fmt: skip
async def export_customer(id: UUID, request: Request, session: Write, who: May, once: Repeatable, _: Async) -> Response:
    """Gather all that any service holds about a customer into one archive: JSON, CSV, checksums. Nothing is masked.

    The operation's file `export.zip` can be fetched for a week, by who asked for it. It is on the record.
    """
    return await operations.accepted(request, once, session, lambda: export.start(session, who, id))


async def _oneself(principal: Authenticated) -> Principal:
    if principal.kind != "customer" or principal.via is None:
        raise Forbidden("a customer token is required", code="customer_token_required")
    return principal


Oneself = Annotated[Principal, Depends(_oneself)]


@router.post("/v1/me/export", status_code=202, response_model=MyExport, responses=documented(400))
async def export_me(session: Write, who: Oneself, once: Idempotent) -> Response:
    """Have all that any service holds about oneself gathered into one archive."""

    async def call() -> MyExport:
        found = await _latest(session, who)
        if found is not None and found.state in {"queued", "running"}:
            return _mine(found)
        assert who.via is not None  # noqa: S101 (a customer)
        return _mine(await export.start(session, who, who.via))

    return await once.run(session, call, 202, location="/v1/me/export")


@router.get("/v1/me/export", responses=documented(404))
async def get_my_export(session: Read, who: Oneself) -> MyExport:
    """How far the archive is."""
    found = await _latest(session, who)
    if found is None:
        raise NotFound("nothing was asked for", code="no_export")
    return _mine(found)


@router.get(
    "/v1/me/export/file", response_class=StreamingResponse, responses={**documented(404), 200: _ZIP}
)  # fmt: skip
async def get_my_export_file(request: Request, session: Read, who: Oneself) -> Response:
    """The archive, for a week."""
    found = await _latest(session, who)
    described = await files.described(session, found.id, export.FILE) if found and found.state == "succeeded" else None
    if found is None or described is None:
        raise NotFound("there is no archive yet", code="no_export")
    chunks = files.stream(runtime_of(request).database, found.id, export.FILE, described[1])
    headers = {
        "Content-Length": str(described[1]),
        "Content-Disposition": f'attachment; filename="{export.FILE}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(chunks, headers=headers, media_type=described[0])


async def _latest(session: ReadSession, who: Principal) -> OperationOut | None:
    found = await queries.page(session, who=name_of(who), kind=export.KIND, state=None, before=None, limit=1)
    return found[0] if found else None


def _mine(found: OperationOut) -> MyExport:
    return MyExport(
        id=found.id, state=found.state, ready=found.state == "succeeded",
        expires_at=found.expires_at.isoformat() if found.expires_at else None,
    )  # fmt: skip
