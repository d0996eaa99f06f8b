"""The verbs of simulations: start one, and do a step of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from perennial.common import operations
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession
from perennial.common.operations import OperationOut, Step
from perennial.common.sheets import MEDIA_TYPE, lines
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.definition import Definition
from perennial.loyalty.tiers import queries as tiers
from perennial.loyalty.tiers.service import ladder_of, positions
from perennial.loyalty.tiers.simulating import queries

KIND = "programme-simulation"
MOVES = "moves.csv"
BATCH = 2000


@dataclass(frozen=True)
class Moved:
    """A member, with the tier of today, the one of the new programme, and the one that follows if nothing is earned."""

    customer: UUID
    before: str
    after: str
    ahead: str
    lost: frozenset[str]
    gained: frozenset[str]


async def start(session: WriteSession, principal: Principal, definition: Definition, sample: int) -> OperationOut:
    """Have a programme tried. Raises Unprocessable for one that could not be published."""
    programme.keeps_currencies(await programme.current(session), definition)
    asked = {"programme": definition.model_dump(mode="json", include=set(Definition.model_fields)), "sample": sample}
    return await operations.start(session, principal, KIND, asked, total=await queries.count(session))


async def simulate(step: Step) -> Mapping[str, Any] | None:
    """Try the programme on one batch of customers; they are only read."""
    session, progress = step.session, step.progress
    after = UUID(progress["after"]) if "after" in progress else None
    if after is None:
        await step.append(MOVES, b"customer_id,from,to,ahead\r\n", MEDIA_TYPE)
    customers = await queries.members(session, after, BATCH)
    if not customers:
        return _result(step)
    found = await tried(session, Definition.model_validate(step.input["programme"]), customers)
    moves = [item for item in found if item.before != item.after]
    _count(progress, found)
    progress["sample"] = [*progress.get("sample", []), *map(_shown, moves)][: step.input["sample"]]
    if moves:
        text = lines((item.customer, item.before, item.after, item.ahead) for item in moves)
        await step.append(MOVES, text.encode(), MEDIA_TYPE)
    progress["after"] = str(customers[-1])
    step.done += len(customers)
    return None


async def tried(session: ReadSession, definition: Definition, customers: Sequence[UUID]) -> list[Moved]:
    """Where each member of some customers would stand, were the programme in force now."""
    now, ladder = utc_now(), await ladder_of(session, definition)
    base = (await programme.current(session)).tiers[0].name
    states = await tiers.states(session, customers)
    found = await positions(session, customers, ladder, {}, now)
    rungs, made = ladder.rungs, []
    for customer in sorted({*found, *states}):
        position, state = found[customer][0] if customer in found else None, states.get(customer)
        tier = position.tier if position else 0
        before = {_key(item) for item in state.benefits} if state else set()
        held = [item.held().model_dump(mode="json", exclude_none=True) for item in rungs[tier].rule.benefits]
        after = {_key(item) for item in held}
        ahead = rungs[position.projected if position else 0].name
        made.append(
            Moved(
                customer, state.tier if state else base, rungs[tier].name, ahead, frozenset(before - after),
                frozenset(after - before),
            )
        )  # fmt: skip
    return made


def _key(benefit: Mapping[str, Any]) -> str:
    """A benefit with its value: another value is another benefit."""
    value = [str(benefit[name]) for name in sorted(benefit) if name not in {"code", "kind"}]
    return " ".join([benefit["code"], *value])


def _count(progress: dict[str, Any], found: Sequence[Moved]) -> None:
    """Add up; JSON has no pairs as keys, so the matrix is rows within rows."""
    for name, pairs in (
        ("matrix", Counter((item.before, item.after) for item in found)),
        ("ahead", Counter((item.before, item.ahead) for item in found)),
    ):
        table = progress.setdefault(name, {})
        for (one, other), count in pairs.items():
            row = table.setdefault(one, {})
            row[other] = row.get(other, 0) + count
    for name, each in (("granted", "gained"), ("revoked", "lost")):
        sums = progress.setdefault(name, {})
        for benefit, count in Counter(key for item in found for key in getattr(item, each)).items():
            sums[benefit] = sums.get(benefit, 0) + count


def _shown(item: Moved) -> dict[str, str]:
    return {"customer_id": str(item.customer), "from": item.before, "to": item.after, "ahead": item.ahead}


def _result(step: Step) -> dict[str, Any]:
    progress, ladder = step.progress, [tier["name"] for tier in step.input["programme"]["tiers"]]
    rank = {name: number for number, name in enumerate(ladder)}
    pairs = [
        {"from": one, "to": other, "customers": count}
        for one, row in progress.get("matrix", {}).items()
        for other, count in row.items()
    ]
    moved = [pair for pair in pairs if pair["from"] != pair["to"]]
    known = [pair for pair in moved if pair["from"] in rank]
    return {
        "members": sum(pair["customers"] for pair in pairs),
        "moved": sum(pair["customers"] for pair in moved),
        "up": sum(pair["customers"] for pair in known if rank[pair["to"]] > rank[pair["from"]]),
        "down": sum(pair["customers"] for pair in known if rank[pair["to"]] < rank[pair["from"]]),
        "matrix": progress.get("matrix", {}),
        "ahead": progress.get("ahead", {}),
        "benefits": {"granted": progress.get("granted", {}), "revoked": progress.get("revoked", {})},
        "sample": progress.get("sample", []),
    }
