"""Routes of calendars."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import NEW, IfMatchOrNew, tag
from perennial.tickets.calendars import service
from perennial.tickets.calendars.definition import CalendarDefinition
from perennial.tickets.calendars.models import CalendarRow
from perennial.tickets.calendars.schemas import CalendarIn, CalendarOut
from perennial.tickets.texts import Key
from perennial.tickets.versions import queries
from perennial.tickets.versions import service as versions

router = APIRouter(prefix="/v1/calendars", tags=["tickets"])
Reader = Annotated[Principal, Depends(requires("tickets:read"))]
Manager = Annotated[Principal, Depends(requires("tickets:manage"))]


def _out(row: CalendarRow, response: Response | None = None) -> CalendarOut:
    if response is not None:
        tag(response, row.version)
    return CalendarOut.model_validate({**row.definition, "key": row.key, "version": row.version})


@router.get("", responses=documented(400))
async def list_calendars(page: PageQuery, session: Read, who: Reader) -> Page[CalendarOut]:
    """Every calendar, by key."""
    rows = await queries.page(session, CalendarRow, last_text(page) or "", page.limit + 1)
    return paged([_out(row) for row in rows], page, lambda item: [item.key])


@router.post("", status_code=201, responses=documented(409))
async def create_calendar(body: CalendarIn, response: Response, session: Write, who: Manager) -> CalendarOut:
    """Working hours, for ticket types to count by."""
    response.headers["Location"] = f"/v1/calendars/{body.key}"
    definition = CalendarDefinition.model_validate(body.model_dump(by_alias=True, exclude={"key"}))
    return _out(await versions.create(session, who, CalendarRow, body.key, definition), response)


@router.get("/{key}", responses=documented(404))
async def get_calendar(key: Key, response: Response, session: Read, who: Reader) -> CalendarOut:
    """One calendar."""
    return _out(await service.find(session, key), response)


@router.put("/{key}", responses={**documented(404, 412, 428), 201: {"model": CalendarOut}})
async def put_calendar(
    key: Key, body: CalendarDefinition, expected: IfMatchOrNew, response: Response, session: Write, who: Manager
) -> CalendarOut:
    """Replace a calendar; tickets that are open keep theirs."""
    if expected == NEW:
        response.status_code = 201
        response.headers["Location"] = f"/v1/calendars/{key}"
    return _out(await versions.replace(session, who, CalendarRow, key, expected, body), response)
