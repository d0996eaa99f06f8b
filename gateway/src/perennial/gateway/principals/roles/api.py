"""`/v1/roles`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Read, documented
from perennial.common.web.etags import IfMatch, tag
from perennial.gateway.principals import known
from perennial.gateway.principals.deps import EdgeOf
from perennial.gateway.principals.roles import queries, service
from perennial.gateway.principals.roles.schemas import ChosenFields, RoleOut, Roles

router = APIRouter(tags=["gateway"])

Reader = Annotated[Principal, Depends(requires("staff:read"))]
Writer = Annotated[Principal, Depends(requires("staff:write"))]
RoleName = Annotated[str, Path(max_length=40, pattern="^[a-z_]+$")]


@router.get("/v1/roles")
async def list_roles(_: Reader, session: Read) -> Roles:
    """What each role may do, and see in clear."""
    return Roles(items=await _all(session))


@router.get("/v1/roles/{name}", responses=documented(404))
async def get_role(name: RoleName, _: Reader, session: Read, response: Response) -> RoleOut:
    """One role."""
    return await _one(session, name, response)


@router.put("/v1/roles/{name}/fields", responses=documented(400, 404, 412, 428))
async def choose_role_fields(
    name: RoleName, body: ChosenFields, principal: Writer, expected: IfMatch, edge: EdgeOf, response: Response
) -> RoleOut:
    """Choose what a role sees in clear, in the place of what is built in; every process hears of it."""
    async with edge.runtime.database.write() as session:
        await service.choose_fields(session, name, by=principal, expected=expected, fields=body.fields)
        chosen = await _one(session, name, response)
    await edge.access.refresh()
    return chosen


async def _all(session: ReadSession) -> list[RoleOut]:
    rows = await queries.chosen(session)
    versions = {row.role: row.version for row in rows}
    return [RoleOut.of(name, role, versions.get(name, 0)) for name, role in known.roles(rows).items()]


async def _one(session: ReadSession, name: str, response: Response) -> RoleOut:
    found = next((role for role in await _all(session) if role.name == name), None)
    if found is None:
        raise service.missing(name)
    tag(response, found.version)
    return found
