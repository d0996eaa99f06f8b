"""Identifiers of a customer, and the customer of an identifier."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from perennial.common.auth import Principal, requires
from perennial.common.identifiers import blind_index, normalise, split
from perennial.common.problems import BadRequest, NotFound, Unprocessable, documented
from perennial.common.web import Page, PageQuery, Read, paged
from perennial.identity.identifiers import queries
from perennial.identity.identifiers.schemas import IdentifierFound, IdentifierShown
from perennial.identity.pages import last_id
from perennial.identity.settings import key_of
from perennial.identity.vault import Vault

router = APIRouter(prefix="/v1", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]


@router.get("/customers/{customer_id}/identifiers", responses=documented(400, 404))
async def list_identifiers(
    customer_id: UUID, page: PageQuery, session: Read, request: Request, _: Reader
) -> Page[IdentifierShown]:
    """All by which a customer is known; an old customer id answers with the survivor's."""
    rows = await queries.of_customer(session, customer_id, last_id(page), page.limit + 1)
    if not rows and not page.after:
        raise NotFound(f"there is no customer {customer_id}", pointer="path/customer_id")
    vault = Vault(key_of("encryption_key", request.app.state.settings.encryption_key))
    items = [
        IdentifierShown(
            id=row.id, kind=row.kind, value=vault.open(row.sealed, row.digest), customer_id=row.customer_id,
            version=row.version, created_at=row.created_at,
        )
        for row in rows
    ]  # fmt: skip
    return paged(items, page, lambda item: [item.id])


@router.get("/identifiers", responses=documented(400, 404))
async def find_identifier(
    session: Read,
    request: Request,
    _: Reader,
    identifier: Annotated[str, Query(max_length=400, description="`<kind>:<value>`, e.g. `email:ann@example.com`")],
) -> IdentifierFound:
    """Whose an identifier is."""
    try:
        kind, value = split(identifier)
    except ValueError as error:
        raise BadRequest(str(error), code="invalid_identifier", pointer="query/identifier") from error
    settings = request.app.state.settings
    normal = normalise(kind, value, settings.region)
    if normal is None:
        raise Unprocessable(
            f"identifier: this {kind} can identify nobody", code="invalid_identifier", pointer="query/identifier"
        )
    digest = blind_index(key_of("identifier_key", settings.identifier_key), kind, normal)
    found = await queries.by_digest(session, digest)
    if found is None:
        raise NotFound(f"identifier: this {kind} is not known", pointer="query/identifier")
    return IdentifierFound(id=found[0], kind=found[1], customer_id=found[2])
