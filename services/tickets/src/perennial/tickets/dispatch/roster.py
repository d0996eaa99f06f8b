"""The decision itself: the first rule that holds says whom a ticket needs, the least loaded of them gets it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perennial.common.rules import Explanation, Rule, View, explain
from perennial.common.rules import compile as compile_rule
from perennial.common.rules.evaluation.footprint import leaves
from perennial.common.rules.grammar.nodes import OnTrait
from perennial.tickets.dispatch.models import Agent, DispatchRule

MOST_CANDIDATES = 20
LONGEST_VALUE = 200


@dataclass(frozen=True)
class Decision:
    """Who gets a ticket (None: nobody can now), why, and what was looked at."""

    assignee: str | None
    team: str | None
    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Roster:
    """Rules in order, and agents with their loads, as they stand while dispatch is locked."""

    rules: Sequence[tuple[DispatchRule, Rule]]
    agents: Sequence[Agent]
    loads: dict[str, int]

    def anyone_free(self) -> bool:
        """Whether anybody at all could take a ticket."""
        return any(self._state(agent) == "free" for agent in self.agents)

    def free(self, agent_id: str) -> bool:
        """Whether this agent could take a ticket."""
        return any(agent.id == agent_id and self._state(agent) == "free" for agent in self.agents)

    def take(self, agent_id: str) -> None:
        """One more ticket for an agent."""
        self.loads[agent_id] = self.loads.get(agent_id, 0) + 1

    def decide(self, view: View, now: datetime) -> Decision:
        """Who should get a ticket. The same roster and the same ticket give the same answer."""
        found = next(((row, rule) for row, rule in self.rules if compile_rule(rule)(view, now)), None)
        team, skills = (found[0].team, found[0].skills) if found else (None, [])
        able = [agent for agent in self.agents if team in (None, agent.team) and set(skills) <= set(agent.skills)]
        ranked = sorted(able, key=lambda agent: (self._state(agent) != "free", self.loads.get(agent.id, 0), agent.id))
        chosen = ranked[0] if ranked and self._state(ranked[0]) == "free" else None
        detail = {
            "rule": _told(*found, view, now) if found else None,
            "team": team,
            "skills": skills,
            "candidates": [self._candidate(agent) for agent in ranked[:MOST_CANDIDATES]],
            "able": len(able),
        }
        why = f"rule {found[0].name}" if found else "no rule holds, anybody can have it"
        return Decision(chosen.id if chosen else None, team, f"{why}: {self._outcome(chosen, able)}", detail)

    def _outcome(self, chosen: Agent | None, able: Sequence[Agent]) -> str:
        if chosen is not None:
            return f"{chosen.id} is the least loaded of those who are free"
        return "nobody who could is free" if able else "there is nobody who could"

    def _candidate(self, agent: Agent) -> dict[str, Any]:
        return {
            "agent": agent.id,
            "open": self.loads.get(agent.id, 0),
            "capacity": agent.capacity,
            "state": self._state(agent),
        }

    def _state(self, agent: Agent) -> str:
        if not agent.online:
            return "offline"
        return "free" if self.loads.get(agent.id, 0) < agent.capacity else "full"


def _told(row: DispatchRule, rule: Rule, view: View, now: datetime) -> dict[str, Any]:
    because = [
        {
            "condition": leaf.phrase,
            "holds": leaf.holds,
            "value": str(leaf.value)[:LONGEST_VALUE],
            "trait": asked.trait if isinstance(asked, OnTrait) else None,
        }
        for asked, leaf in zip(leaves(rule), _leaves(explain(rule, view, now)), strict=True)
    ]
    return {"id": str(row.id), "name": row.name, "version": row.version, "because": because}


def _leaves(node: Explanation) -> Iterator[Explanation]:
    if not node.parts:
        yield node
    for part in node.parts:
        yield from _leaves(part)
