"""The verbs of agents: come, change, go online."""

from typing import Any

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.problems import Conflict, NotFound
from perennial.common.web.etags import match
from perennial.tickets.dispatch import service as dispatching
from perennial.tickets.dispatch.models import Agent
from perennial.tickets.requests.assigning import dispatch_waiting


async def find(session: ReadSession, agent_id: str, *, locked: bool = False) -> Agent:
    """An agent. Raises NotFound."""
    found = await session.get(Agent, agent_id, with_for_update=locked, populate_existing=locked)
    if found is None:
        raise NotFound(f"agent: there is none called {agent_id}", pointer="path/agent_id")
    return found


async def create(session: WriteSession, who: Principal, given: dict[str, Any]) -> Agent:
    """A new agent, who gets tickets at once when online. Raises Conflict."""
    await dispatching.turn(session)
    if await session.get(Agent, given["id"]) is not None:
        raise Conflict(f"id: there is an agent called {given['id']}", code="id_taken", pointer="/id")
    agent = Agent(**given)
    session.add(agent)
    await session.flush()
    await audit.record(session, who, "agent.created", agent.id, given)
    await dispatch_waiting(session)
    return agent


async def change(
    session: WriteSession, who: Principal, agent_id: str, expected: int | None, given: dict[str, Any]
) -> Agent:
    """Apply a merge patch; tickets that wait are looked at again. Raises NotFound, PreconditionFailed."""
    await dispatching.turn(session)
    agent = await find(session, agent_id, locked=True)
    match(expected, agent.version)
    for name, value in given.items():
        setattr(agent, name, value)
    agent.version += 1
    await session.flush()
    await audit.record(session, who, "agent.changed", agent_id, given)
    await dispatch_waiting(session)
    return agent
