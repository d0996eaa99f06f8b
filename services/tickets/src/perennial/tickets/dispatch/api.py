"""Routes of dispatch rules."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, cursors, documented, paged
from perennial.common.web.etags import IfMatch, Seen, tag
from perennial.common.web.idempotency import run
from perennial.tickets.dispatch import queries, service, veiled
from perennial.tickets.dispatch.models import DispatchRule
from perennial.tickets.dispatch.schemas import DispatchRuleIn, DispatchRuleOut
from perennial.tickets.types import service as types

router = APIRouter(prefix="/v1/dispatch-rules", tags=["tickets"])
Reader = Annotated[Principal, Depends(requires("tickets:read"))]
Manager = Annotated[Principal, Depends(requires("tickets:manage"))]


async def _out(session: ReadSession, who: Principal, row: DispatchRule, response: Response) -> DispatchRuleOut:
    tag(response, row.version)
    return _shown(who, row, await types.known_fields(session))


def _shown(who: Principal, row: DispatchRule, fields: veiled.Known) -> DispatchRuleOut:
    out = DispatchRuleOut.model_validate(row, from_attributes=True)
    return out.model_copy(update={"rule": veiled.shown(who, out.rule, fields)})


def _position(part: Any) -> int:
    if type(part) is not int or abs(part) > cursors.LARGEST_INTEGER:
        raise ValueError("not a position")
    return part


@router.get("", responses=documented(400))
async def list_dispatch_rules(page: PageQuery, session: Read, who: Reader) -> Page[DispatchRuleOut]:
    """Every rule, in the order in which they are asked."""
    rows = await queries.page(session, cursors.last(page, _position, cursors.uuid), page.limit + 1)
    fields = await types.known_fields(session)
    return paged([_shown(who, row, fields) for row in rows], page, lambda item: [item.position, item.id])


@router.post("", status_code=201, response_model=DispatchRuleOut, responses=documented(409))
async def create_dispatch_rule(body: DispatchRuleIn, session: Write, who: Manager, once: Repeatable) -> Response:
    """A new rule."""

    async def create() -> DispatchRuleOut:
        made = await service.create(session, who, body.model_dump())
        return _shown(who, made, await types.known_fields(session))

    return await run(once, session, create, 201, location="/v1/dispatch-rules/{id}", etag="{version}")


@router.get("/{rule_id}", responses=documented(404))
async def get_dispatch_rule(rule_id: UUID, response: Response, session: Read, who: Reader) -> DispatchRuleOut:
    """One rule."""
    return await _out(session, who, await service.find(session, rule_id), response)


@router.put("/{rule_id}", responses=documented(400, 404, 412, 428))
async def put_dispatch_rule(
    rule_id: UUID, body: DispatchRuleIn, expected: IfMatch, response: Response, session: Write, who: Manager
) -> DispatchRuleOut:
    """Change a rule."""
    changed = await service.replace(session, who, rule_id, expected, body.model_dump())
    return await _out(session, who, changed, response)


@router.delete("/{rule_id}", status_code=204, responses=documented(404))
async def delete_dispatch_rule(rule_id: UUID, seen: Seen, session: Write, who: Manager) -> None:
    """Forget a rule."""
    await service.remove(session, who, rule_id, seen)
