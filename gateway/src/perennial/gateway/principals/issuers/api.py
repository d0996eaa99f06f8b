"""`/v1/customer-tokens`, and `/v1/token-issuers`: who else may sign them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.common.web.etags import IfMatch, tag
from perennial.gateway.edge import Edge, EdgeOf
from perennial.gateway.listing import after_of
from perennial.gateway.principals.issuers import queries, service
from perennial.gateway.principals.issuers.models import TokenIssuer
from perennial.gateway.principals.issuers.schemas import (
    CustomerToken,
    NewCustomerToken,
    NewTokenIssuer,
    TokenIssuerChange,
    TokenIssuerOut,
)

router = APIRouter(tags=["gateway"])

Minter = Annotated[Principal, Depends(requires("tokens:mint"))]
Reader = Annotated[Principal, Depends(requires("tokens:read"))]
Writer = Annotated[Principal, Depends(requires("tokens:write"))]
IssuerId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


@router.post("/v1/customer-tokens", status_code=201, responses=documented(400))
async def mint_customer_token(
    body: NewCustomerToken, principal: Minter, edge: EdgeOf, response: Response
) -> CustomerToken:
    """A token with which a customer's app reads and acts for this one customer on `/v1/me`.

    It ends with the API key that mints it.
    """
    key = edge.access.principals.keys_by_id.get(principal.id) if principal.kind == "api_key" else None
    ttl = body.ttl_seconds
    if key is not None and key.expires_at is not None:
        ttl = min(ttl, int((key.expires_at - datetime.now(UTC)).total_seconds()))
    token, expires_at = edge.tokens.customer(body.customer_id, ttl, key.principal.id if key is not None else None)
    response.headers["Cache-Control"] = "no-store"
    return CustomerToken(token=token, expires_at=expires_at)


@router.post("/v1/token-issuers", status_code=201, responses=documented(400, 409))
async def add_token_issuer(body: NewTokenIssuer, principal: Writer, edge: EdgeOf, response: Response) -> TokenIssuerOut:
    """Believe the tokens of another issuer; whoever holds its keys can sign in any customer."""
    wanted = body.model_dump()
    await service.check_keys(wanted, edge.settings.egress_allow_cidrs)
    async with edge.runtime.database.write() as session:
        issuer = await service.add(session, principal, wanted, edge.settings.oidc_issuer)
    response.headers["Location"] = f"/v1/token-issuers/{issuer.id}"
    return await _refreshed(edge, issuer, response)


@router.get("/v1/token-issuers", responses=documented(400))
async def list_token_issuers(_: Reader, session: Read, page: PageQuery) -> Page[TokenIssuerOut]:
    """Issuers, oldest first."""
    rows = await queries.page(session, page.limit + 1, after_of(page))
    found = [TokenIssuerOut.model_validate(row) for row in rows]
    return paged(found, page, lambda issuer: (issuer.created_at.isoformat(), issuer.id))


@router.get("/v1/token-issuers/{issuer_id}", responses=documented(404))
async def get_token_issuer(issuer_id: IssuerId, _: Reader, session: Read, response: Response) -> TokenIssuerOut:
    """One issuer."""
    issuer = await queries.by_id(session, issuer_id)
    if issuer is None:
        raise service.missing(issuer_id)
    tag(response, issuer.version)
    return TokenIssuerOut.model_validate(issuer)


@router.patch("/v1/token-issuers/{issuer_id}", responses=documented(400, 404, 412, 428))
async def change_token_issuer(
    issuer_id: IssuerId, body: TokenIssuerChange, principal: Writer, expected: IfMatch, edge: EdgeOf, response: Response
) -> TokenIssuerOut:
    """Change an issuer, or disable it."""
    wanted = body.model_dump(exclude_unset=True)
    await service.check_keys(wanted, edge.settings.egress_allow_cidrs)
    async with edge.runtime.database.write() as session:
        issuer = await service.change(session, issuer_id, by=principal, expected=expected, wanted=wanted)
    return await _refreshed(edge, issuer, response)


@router.delete("/v1/token-issuers/{issuer_id}", status_code=204, responses=documented(404))
async def remove_token_issuer(issuer_id: IssuerId, principal: Writer, edge: EdgeOf) -> None:
    """Believe an issuer's tokens no more, from now on."""
    async with edge.runtime.database.write() as session:
        await service.remove(session, issuer_id, by=principal)
    await edge.access.refresh()


async def _refreshed(edge: Edge, issuer: TokenIssuer, response: Response) -> TokenIssuerOut:
    await edge.access.refresh()
    tag(response, issuer.version)
    return TokenIssuerOut.model_validate(issuer)
