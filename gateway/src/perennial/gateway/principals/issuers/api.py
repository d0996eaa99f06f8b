"""`/v1/customer-tokens`, and `/v1/token-issuers`: who else may sign them."""

import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from perennial.common.auth import Principal, requires
from perennial.common.problems import Unauthorized
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.common.web.etags import IfMatch, tag
from perennial.gateway.listing import after_of
from perennial.gateway.principals import grants
from perennial.gateway.principals.authenticate import Shown
from perennial.gateway.principals.deps import Edge, EdgeOf
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


def _who_may_sign_in(scope: str) -> Callable[..., Any]:
    """A dependency: the principal, if it holds the scope and may see whomever it signs in."""

    async def checked(principal: Annotated[Principal, Depends(requires(scope))]) -> Principal:
        grants.check_customers(principal)
        return principal

    return checked


Minter = Annotated[Principal, Depends(_who_may_sign_in("tokens:mint"))]
Reader = Annotated[Principal, Depends(requires("tokens:read"))]
Remover = Annotated[Principal, Depends(requires("tokens:write"))]
Writer = Annotated[Principal, Depends(_who_may_sign_in("tokens:write"))]
IssuerId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


@router.post("/v1/customer-tokens", status_code=201, responses=documented(400), openapi_extra={"x-shown-once": True})
async def mint_customer_token(
    body: NewCustomerToken, principal: Minter, edge: EdgeOf, request: Request, response: Response
) -> CustomerToken:
    """A token with which a customer's app reads and acts for this one customer on `/v1/me`.

    It shows the customer in clear, so `customers:reveal` is required as well, or `*` in `fields`; who minted it, for
    whom and for how long stays in the audit trail. It ends with the API key or the staff session that mints it.
    """
    shown: Shown = request.state.shown
    ends, key_id = shown.ends, None
    if principal.kind == "api_key":
        key = await edge.access.principals.key_by_id(principal.id)
        if key is None:
            raise Unauthorized("Authorization: the API key is unknown or revoked", code="invalid_key")
        key_id, ends = principal.id, key.expires_at.timestamp() if key.expires_at else None
    ttl = body.ttl_seconds if ends is None else int(min(body.ttl_seconds, ends - time.time()))
    token, expires_at = edge.tokens.customer(body.customer_id, ttl, key_id=key_id, session_id=shown.session_id)
    async with edge.runtime.database.write() as session:
        await service.note_mint(session, principal, body.customer_id, ttl)
    response.headers["Cache-Control"] = "no-store"
    return CustomerToken(token=token, expires_at=expires_at)


@router.post("/v1/token-issuers", status_code=201, responses=documented(400, 409))
async def add_token_issuer(body: NewTokenIssuer, principal: Writer, edge: EdgeOf, response: Response) -> TokenIssuerOut:
    """Believe the tokens of another issuer; whoever holds its keys can sign in any customer.

    So `customers:reveal` is required as well, or `*` in `fields`; to change an issuer, too.
    """
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
    """Change an issuer, or disable it; the same is required as to add one."""
    wanted = body.model_dump(exclude_unset=True)
    await service.check_keys(wanted, edge.settings.egress_allow_cidrs)
    async with edge.runtime.database.write() as session:
        issuer = await service.change(session, issuer_id, by=principal, expected=expected, wanted=wanted)
    return await _refreshed(edge, issuer, response)


@router.delete("/v1/token-issuers/{issuer_id}", status_code=204, responses=documented(404))
async def remove_token_issuer(issuer_id: IssuerId, principal: Remover, edge: EdgeOf) -> None:
    """Believe an issuer's tokens no more, from now on."""
    async with edge.runtime.database.write() as session:
        await service.remove(session, issuer_id, by=principal)
    await edge.access.refresh()


async def _refreshed(edge: Edge, issuer: TokenIssuer, response: Response) -> TokenIssuerOut:
    await edge.access.refresh()
    tag(response, issuer.version)
    return TokenIssuerOut.model_validate(issuer)
