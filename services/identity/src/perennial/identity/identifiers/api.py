"""Identifiers of a customer, and the customer of an identifier."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common.auth import Principal, requires
from perennial.common.problems import NotFound, documented
from perennial.common.web import Page, PageQuery, Read, Write, paged
from perennial.common.web.cursors import last_id
from perennial.common.web.reveal import reveals
from perennial.identity.identifiers import queries, service
from perennial.identity.identifiers.schemas import (
    IdentifierFound,
    IdentifierShown,
    IdentifiersRevealed,
    IdentifiersWanted,
)
from perennial.identity.settings import vault_of

router = APIRouter(prefix="/v1", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Revealer = Annotated[Principal, Depends(reveals("identities:read"))]
Identifier = Annotated[str, Query(max_length=400, description="`<kind>:<value>`, e.g. `email:ann@example.com`")]


@router.get("/customers/{customer_id}/identifiers", responses=documented(400, 404))
async def list_identifiers(
    customer_id: UUID, page: PageQuery, session: Read, request: Request, who: Reader
) -> Page[IdentifierShown]:
    """All by which a customer is known; an old customer id answers with the survivor's."""
    rows = await queries.of_customer(session, customer_id, last_id(page), page.limit + 1)
    if not rows and not page.after:
        raise NotFound(f"there is no customer {customer_id}", pointer="path/customer_id")
    items = [item.seen_by(who) for item in _opened(rows, request)]
    return paged(items, page, lambda item: [item.id])


@router.post("/customers/{customer_id}/identifiers/reveal", responses=documented(400, 404))
async def reveal_identifiers(
    customer_id: UUID, body: IdentifiersWanted, request: Request, response: Response, session: Write, who: Revealer
) -> IdentifiersRevealed:
    """A customer's identifiers in clear; who asked, for which kinds and why stay in the audit trail."""
    response.headers["Cache-Control"] = "no-store"
    customer, rows, more = await service.reveal(session, who, customer_id, body.kinds, body.reason)
    return IdentifiersRevealed(id=customer, identifiers=_opened(rows, request), truncated=more)


def _opened(rows: Sequence[queries.Row], request: Request) -> list[IdentifierShown]:
    vault = vault_of(request.app.state.settings)
    return [
        IdentifierShown(
            id=row.id, kind=row.kind, value=vault.open(row.sealed, row.digest), customer_id=row.customer_id,
            version=row.version, created_at=row.created_at,
        )
        for row in rows
    ]  # fmt: skip


@router.get("/identifiers", responses=documented(400, 404))
async def find_identifier(
    session: Read,
    request: Request,
    _: Reader,
    identifier: Identifier,
) -> IdentifierFound:
    """Whose an identifier is."""
    kind, digest = service.wanted(identifier, request.app.state.settings)
    found = await queries.by_digest(session, digest)
    if found is None:
        raise NotFound(f"identifier: this {kind} is not known", pointer="query/identifier")
    return IdentifierFound(id=found[0], kind=found[1], customer_id=found[2])
