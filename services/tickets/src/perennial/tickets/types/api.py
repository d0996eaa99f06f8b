"""Routes of ticket types."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import NEW, IfMatchOrNew, tag
from perennial.tickets.texts import Key
from perennial.tickets.types import service
from perennial.tickets.types.definition import TypeDefinition
from perennial.tickets.types.models import TypeRow
from perennial.tickets.types.schemas import TypeIn, TypeOut
from perennial.tickets.versions import queries

router = APIRouter(prefix="/v1/ticket-types", tags=["tickets"])
Reader = Annotated[Principal, Depends(requires("tickets:read"))]
Manager = Annotated[Principal, Depends(requires("tickets:manage"))]


def _out(row: TypeRow, response: Response | None = None) -> TypeOut:
    if response is not None:
        tag(response, row.version)
    return TypeOut.model_validate({**row.definition, "key": row.key, "version": row.version})


@router.get("", responses=documented(400))
async def list_ticket_types(page: PageQuery, session: Read, who: Reader) -> Page[TypeOut]:
    """Every type, by key."""
    rows = await queries.page(session, TypeRow, last_text(page) or "", page.limit + 1)
    return paged([_out(row) for row in rows], page, lambda item: [item.key])


@router.post("", status_code=201, responses=documented(409))
async def create_ticket_type(body: TypeIn, response: Response, session: Write, who: Manager) -> TypeOut:
    """A kind of request: its stages, its form, its service levels."""
    response.headers["Location"] = f"/v1/ticket-types/{body.key}"
    definition = TypeDefinition.model_validate(body.model_dump(exclude={"key"}))
    return _out(await service.create(session, who, body.key, definition), response)


@router.get("/{key}", responses=documented(404))
async def get_ticket_type(key: Key, response: Response, session: Read, who: Reader) -> TypeOut:
    """One type."""
    return _out(await service.find(session, key), response)


@router.put("/{key}", responses={**documented(404, 412, 428), 201: {"model": TypeOut}})
async def put_ticket_type(
    key: Key, body: TypeDefinition, expected: IfMatchOrNew, response: Response, session: Write, who: Manager
) -> TypeOut:
    """Replace a type; tickets keep to the version they were opened with."""
    if expected == NEW:
        response.status_code = 201
        response.headers["Location"] = f"/v1/ticket-types/{key}"
    return _out(await service.replace(session, who, key, expected, body), response)
