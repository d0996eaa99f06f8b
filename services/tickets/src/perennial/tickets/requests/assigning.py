"""Who works on a ticket: dispatch by rule, tickets that wait for somebody, assignment by hand."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from perennial.common import identity_map
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.tickets import TicketAssigned
from perennial.common.db import WriteSession
from perennial.common.problems import Conflict, Unprocessable
from perennial.common.rules import View
from perennial.tickets.customers import queries as customers
from perennial.tickets.dispatch import service as dispatching
from perennial.tickets.dispatch.roster import Decision, Roster
from perennial.tickets.requests import queries
from perennial.tickets.requests.models import Ticket
from perennial.tickets.requests.stages import enter
from perennial.tickets.requests.telling import DISPATCH, Actor, note, tell
from perennial.tickets.types import service as types

CHUNK = 200
NOBODY = ""


async def dispatch(session: WriteSession, ticket: Ticket) -> None:
    """Give a locked ticket to whom the rules name, if somebody is free; the decision is kept with its reasons."""
    await _decide(session, await dispatching.roster(session), [ticket])


async def dispatch_waiting(session: WriteSession) -> int:
    """Somebody may have become free: give out tickets that wait, the most urgent first. Returns how many."""
    roster = await dispatching.roster(session)
    given, after = 0, None
    while roster.anyone_free():
        tickets = await queries.waiting(session, after, CHUNK)
        given += await _decide(session, roster, tickets)
        if len(tickets) < CHUNK:
            break
        after = (tickets[-1].urgency, tickets[-1].id)
    return given


async def keep(session: WriteSession, ticket: Ticket) -> None:
    """A ticket that was opened again stays with its agent, if that one has room for it."""
    if ticket.assignee is None:
        await dispatch(session, ticket)
        return
    agent, ticket.assignee = ticket.assignee, None
    roster = await dispatching.roster(session)
    if roster.free(agent):
        ticket.assignee = agent
        return
    note(session, ticket, DISPATCH, utc_now(), "unassigned", {"assignee": agent, "reason": "not free"})
    if not await _decide(session, roster, [ticket]):
        await tell(session, ticket, TicketAssigned, utc_now(), assignee=NOBODY)


async def assign(session: WriteSession, ticket: Ticket, agent_id: str, actor: Actor, *, over_capacity: bool) -> None:
    """Give a locked ticket to somebody by hand. Raises Conflict when it has ended or the agent has no room."""
    if not ticket.open:
        raise Conflict(f"stage: a ticket that is {ticket.stage} is not assigned", code="ticket_ended")
    roster = await dispatching.roster(session)
    agent = next((agent for agent in roster.agents if agent.id == agent_id), None)
    if agent is None:
        raise Unprocessable(f"assignee: there is no agent {agent_id}", code="unknown_agent", pointer="/assignee")
    if ticket.assignee == agent_id:
        return
    if not over_capacity and roster.loads.get(agent_id, 0) >= agent.capacity:
        raise Conflict(
            f"assignee: {agent_id} has {agent.capacity} open tickets", code="over_capacity", pointer="/assignee"
        )
    freed = ticket.assignee is not None
    await _give(session, ticket, agent_id, actor, utc_now(), "by hand")
    if freed:
        await dispatch_waiting(session)


async def _decide(session: WriteSession, roster: Roster, tickets: Sequence[Ticket]) -> int:
    views, now = await _views(session, tickets), utc_now()
    given = 0
    for ticket in tickets:
        decision = roster.decide(views[ticket.id], now)
        _keep_decision(session, ticket, decision, now)
        ticket.team = decision.team
        if decision.assignee is not None:
            roster.take(decision.assignee)
            await _give(session, ticket, decision.assignee, DISPATCH, now, decision.reason)
            given += 1
    return given


def _keep_decision(session: WriteSession, ticket: Ticket, decision: Decision, now: datetime) -> None:
    """A ticket that waits is decided about again and again: the same answer is kept once."""
    if decision.assignee is None and decision.reason == ticket.dispatch_reason:
        return
    ticket.dispatch_reason = decision.reason
    said = {"assignee": decision.assignee, "reason": decision.reason, **decision.detail}
    note(session, ticket, DISPATCH, now, "dispatched", said)
    if decision.assignee is None:
        ticket.version += 1


async def _give(session: WriteSession, ticket: Ticket, agent_id: str, actor: Actor, now: datetime, reason: str) -> None:
    previous, ticket.assignee = ticket.assignee, agent_id
    detail = {"from": previous, "to": agent_id, "reason": reason}
    note(session, ticket, actor, now, "assigned", {k: v for k, v in detail.items() if v is not None})
    await tell(session, ticket, TicketAssigned, now, assignee=agent_id)
    definition = await types.load(session, ticket.type, ticket.type_version)
    stage = definition.stage(definition.assigned_stage) if definition.assigned_stage else None
    if stage is not None and ticket.stage == definition.stages[0].key != stage.key:
        await enter(session, ticket, stage, DISPATCH, now)


async def _views(session: WriteSession, tickets: Sequence[Ticket]) -> dict[UUID, View]:
    """What rules are asked about: the ticket's own fields, the tier and segments of today's customer."""
    owners = await identity_map.customers_of(session, [ticket.via for ticket in tickets])
    owner = {ticket.id: owners.get(ticket.via, ticket.via) for ticket in tickets}
    tiers = await customers.tiers(session, owner.values())
    segments = await customers.segments(session, owner.values())
    return {
        ticket.id: View(
            owner[ticket.id],
            {
                "type": ticket.type,
                "priority": ticket.priority,
                "subject": ticket.subject,
                "description": ticket.description,
                "fields": ticket.fields,
                "tier": tiers.get(owner[ticket.id]),
            },
            segments=frozenset(segments.get(owner[ticket.id], ())),
        )
        for ticket in tickets
    }
