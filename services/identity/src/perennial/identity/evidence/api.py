"""`/v1/customers/{customer_id}/identity` and `…/explain`: what a customer is made of, and why."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy import RowMapping

from perennial.common.auth import Principal
from perennial.common.problems import NotFound, documented
from perennial.common.web import Read
from perennial.identity import queries as map_queries
from perennial.identity.evidence import queries, service
from perennial.identity.evidence.schemas import (
    EdgeShown,
    Explanation,
    IdentifierSeen,
    IdentityGraph,
    NodeShown,
    SeenAt,
    Step,
)
from perennial.identity.identifiers import queries as identifiers
from perennial.identity.identifiers.api import Identifier, Reader
from perennial.identity.identifiers.service import wanted
from perennial.identity.settings import vault_of
from perennial.identity.vault import Vault

router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["identity"])


@router.get("/identity", responses=documented(404))
async def get_identity(customer_id: UUID, session: Read, request: Request, who: Reader) -> IdentityGraph:
    """A customer's identifiers, when and where they were seen, and what has joined them."""
    vias = await map_queries.of_customer(session, customer_id)
    if not vias:
        raise NotFound(f"there is no customer {customer_id}", pointer="path/customer_id")
    members = set(vias[: service.MOST])
    rows = await queries.identifiers(session, members)
    shown = _seen(rows, await queries.seen(session, members), vault_of(request.app.state.settings))
    joined = [edge for edge in await service.edges(session, members) if members & {edge.through, edge.joined}]
    return IdentityGraph(
        id=rows[0]["customer_id"],
        identifiers=[item.seen_by(who) for item in shown],
        edges=[_edge(edge, who) for edge in joined],
        truncated=len(vias) > len(members),
    )


@router.get("/explain", responses=documented(400, 404))
async def explain_identifier(
    customer_id: UUID, session: Read, request: Request, who: Reader, identifier: Identifier
) -> Explanation:
    """Why an identifier belongs to a customer: step by step, by what event or whose word, from the first one on."""
    kind, digest = wanted(identifier, request.app.state.settings)
    vias = set(await map_queries.of_customer(session, customer_id))
    if not vias:
        raise NotFound(f"there is no customer {customer_id}", pointer="path/customer_id")
    found = await identifiers.by_digest(session, digest)
    if found is None or found[0] not in vias:
        raise NotFound(f"identifier: this {kind} does not belong to the customer", pointer="query/identifier")
    via, _, customer = found
    steps = service.chain(await service.edges(session, vias), vias, customer, via)
    on_the_way = {customer, via, *(end for step in steps for end in step[:2])}
    vault = vault_of(request.app.state.settings)
    nodes = {row["id"]: _node(row, vault, who) for row in await queries.identifiers(session, on_the_way)}
    return Explanation(
        id=customer,
        founding=nodes[customer],
        identifier=nodes[via],
        chain=[
            Step.model_validate({"from": nodes[one], "to": nodes[other], "evidence": _edge(edge, who)})
            for one, other, edge in steps
        ],
    )


def _node(row: RowMapping, vault: Vault, who: Principal) -> NodeShown:
    return NodeShown.model_validate({**row, "value": vault.open(row["sealed"], row["digest"])}).seen_by(who)


def _edge(edge: service.Edge, who: Principal) -> EdgeShown:
    return EdgeShown.model_validate(edge).seen_by(who)


def _seen(rows: Sequence[RowMapping], seen: Sequence[queries.Seen], vault: Vault) -> list[IdentifierSeen]:
    sources: dict[UUID, list[SeenAt]] = {}
    for via, source, first_at, last_at in seen:
        sources.setdefault(via, []).append(SeenAt(source=source, first_at=first_at, last_at=last_at))
    return [
        IdentifierSeen.model_validate(
            {
                **row,
                "value": vault.open(row["sealed"], row["digest"]),
                "sources": (at := sources.get(row["id"], [])),
                "first_seen": min((one.first_at for one in at), default=None),
                "last_seen": max((one.last_at for one in at), default=None),
            }
        )
        for row in rows
    ]
