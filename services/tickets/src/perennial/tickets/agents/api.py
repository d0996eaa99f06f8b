"""Routes of agents."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import IfMatch, tag
from perennial.tickets.agents import queries, service
from perennial.tickets.agents.schemas import AgentChange, AgentIn, AgentOut, Presence
from perennial.tickets.dispatch import queries as dispatch
from perennial.tickets.dispatch.models import Agent
from perennial.tickets.texts import AgentId

router = APIRouter(prefix="/v1/agents", tags=["tickets"])
Reader = Annotated[Principal, Depends(requires("tickets:read"))]
Writer = Annotated[Principal, Depends(requires("tickets:write"))]
Manager = Annotated[Principal, Depends(requires("tickets:manage"))]


async def _out(session: ReadSession, agent: Agent, response: Response) -> AgentOut:
    tag(response, agent.version)
    return _shown(agent, await dispatch.loads(session))


def _shown(agent: Agent, loads: dict[str, int]) -> AgentOut:
    columns = {column.name: getattr(agent, column.name) for column in Agent.__table__.columns}
    return AgentOut.model_validate({**columns, "open": loads.get(agent.id, 0)})


@router.get("", responses=documented(400))
async def list_agents(page: PageQuery, session: Read, who: Reader) -> Page[AgentOut]:
    """Every agent with the tickets at hand, by id."""
    rows = await queries.page(session, last_text(page) or "", page.limit + 1)
    loads = await dispatch.loads(session)
    return paged([_shown(row, loads) for row in rows], page, lambda item: [item.id])


@router.post("", status_code=201, responses=documented(409))
async def create_agent(body: AgentIn, response: Response, session: Write, who: Manager) -> AgentOut:
    """Somebody who works on tickets."""
    response.headers["Location"] = f"/v1/agents/{body.id}"
    return await _out(session, await service.create(session, who, body.model_dump()), response)


@router.get("/{agent_id}", responses=documented(404))
async def get_agent(agent_id: AgentId, response: Response, session: Read, who: Reader) -> AgentOut:
    """One agent."""
    return await _out(session, await service.find(session, agent_id), response)


@router.patch("/{agent_id}", responses=documented(400, 404, 412, 428))
async def change_agent(
    agent_id: AgentId, body: AgentChange, expected: IfMatch, response: Response, session: Write, who: Manager
) -> AgentOut:
    """Change skills, capacity, team."""
    changed = await service.change(session, who, agent_id, expected, body.model_dump(exclude_unset=True))
    return await _out(session, changed, response)


@router.put("/{agent_id}/presence", responses=documented(404))
async def put_presence(agent_id: AgentId, body: Presence, response: Response, session: Write, who: Writer) -> AgentOut:
    """Come online, and get tickets that wait; or go offline, and get no more."""
    return await _out(session, await service.change(session, who, agent_id, None, body.model_dump()), response)
