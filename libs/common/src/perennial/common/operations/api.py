"""`/v1/operations/<service>`: what was started, how far it is, its files, and an end to it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, Security
from fastapi.responses import StreamingResponse

from perennial.common.auth import Principal, authenticated
from perennial.common.db import ReadSession
from perennial.common.operations import files, reading, starting
from perennial.common.operations.out import OperationOut, State, name_of
from perennial.common.problems import Forbidden, NotFound, documented
from perennial.common.web.cursors import PageQuery, last_id
from perennial.common.web.deps import Read, Write, runtime_of
from perennial.common.web.pages import Page, paged

SEES_ALL = "operations:read"
_FILE = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The file."}


async def _asker(principal: Annotated[Principal, Security(authenticated)]) -> Principal:
    if principal.kind == "customer":
        raise Forbidden("a customer has no operations", code="insufficient_scope")
    return principal


Asker = Annotated[Principal, Security(_asker)]
Kind = Annotated[str | None, Query(max_length=100)]
Name = Annotated[str, Path(max_length=100)]


def router(name: str) -> APIRouter:
    """The routes of one service's operations."""
    made = APIRouter(prefix=f"/v1/operations/{name}", tags=["operations"])
    made.add_api_route("", listed, name="list_operations", responses=documented(400))
    made.add_api_route("/{operation_id}", shown, name="get_operation", responses=documented(404))
    made.add_api_route(
        "/{operation_id}/cancel", cancelled, name="cancel_operation", methods=["POST"],
        responses=documented(403, 404, 409),
    )  # fmt: skip
    made.add_api_route(
        "/{operation_id}/files/{name}", downloaded, name="get_operation_file", response_class=StreamingResponse,
        responses={**documented(404), 200: _FILE},
    )  # fmt: skip
    return made


async def listed(
    who: Asker,
    session: Read,
    page: PageQuery,
    kind: Kind = None,
    state: Annotated[State | None, Query()] = None,
) -> Page[OperationOut]:
    """What the principal started, newest first; with the scope `operations:read` what anybody did."""
    whose = None if who.may(SEES_ALL) else name_of(who)
    found = await reading.page(
        session, who=whose, kind=kind, state=state, before=last_id(page), limit=page.limit + 1
    )  # fmt: skip
    return paged([operation.seen_by(who) for operation in found], page, lambda item: (str(item.id),))


async def shown(operation_id: UUID, who: Asker, session: Read) -> OperationOut:
    """One operation."""
    return (await _visible(session, operation_id, who)).seen_by(who)


async def cancelled(operation_id: UUID, who: Asker, session: Write) -> OperationOut:
    """Have no further step done, by who started it; what was done stays. It is over when `state` is `cancelled`."""
    found = await _visible(session, operation_id, who)
    _check_owner(found, who)
    return await starting.cancel(session, operation_id)


async def downloaded(operation_id: UUID, name: Name, request: Request, who: Asker, session: Read) -> Response:
    """A file of an operation, for who started it."""
    found = await _visible(session, operation_id, who)
    _check_owner(found, who)
    described = await files.described(session, operation_id, name)
    if described is None:
        raise NotFound("there is no such file", code="unknown_file")
    media_type, size = described
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    chunks = files.stream(runtime_of(request).database, operation_id, name, size)
    return StreamingResponse(chunks, headers=headers, media_type=media_type)


async def _visible(session: ReadSession, operation_id: UUID, who: Principal) -> OperationOut:
    """Somebody else's operation is not there for who may not see it."""
    found = await reading.by_id(session, operation_id)
    if found is None or not (who.may(SEES_ALL) or found.who == name_of(who)):
        raise NotFound("there is no such operation", code="unknown_operation")
    return found


def _check_owner(operation: OperationOut, who: Principal) -> None:
    if operation.who != name_of(who):
        raise Forbidden("only who started an operation may do this", code="not_the_starter")
