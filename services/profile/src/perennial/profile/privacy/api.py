"""`/v1/erasures`: having a customer forgotten everywhere, and the receipts of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common.auth import Authenticated, CustomerVia, Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound, Unprocessable, documented
from perennial.common.settings import CommonSettings
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, paged
from perennial.common.web.cursors import last_id
from perennial.profile.privacy import queries, service, view
from perennial.profile.privacy.looking import customer_with
from perennial.profile.privacy.schemas import Erasure, ErasureCreate, ErasureDetail, ErasureRefuse, MyErasure, State

router = APIRouter(tags=["privacy"])

MayRead = Annotated[Principal, Depends(requires("privacy:read"))]
MayWrite = Annotated[Principal, Depends(requires("privacy:write"))]


def _settings(request: Request) -> CommonSettings:
    settings: CommonSettings = request.app.state.settings
    return settings


@router.post(
    "/v1/erasures", status_code=201, response_model=ErasureDetail, responses=documented(400, 404, 409)
)  # fmt: skip
async def create_erasure(
    body: ErasureCreate, request: Request, session: Write, who: MayWrite, once: Idempotent
) -> Response:
    """Have a customer forgotten by every service. It cannot be undone; under a legal hold it waits.

    What was said before is not taken in any more, however late it comes; somebody who comes back begins anew.
    """
    settings = _settings(request)

    async def call() -> ErasureDetail:
        customer = await _chosen(session, body, settings)
        made = await service.request(session, customer, body.reason, who, body.legal_hold)
        return await view.show(session, made, settings)

    return await once.run(session, call, 201, location="/v1/erasures/{id}")


async def _chosen(session: ReadSession, body: ErasureCreate, settings: CommonSettings) -> UUID:
    if (body.customer_id is None) == (body.identifier is None):
        raise Unprocessable(
            "customer_id: either a customer or an identifier is needed", code="invalid_request", pointer="/customer_id"
        )
    if body.customer_id is not None:
        return body.customer_id
    found = await customer_with(session, str(body.identifier), settings)
    if found is None:
        raise NotFound("identifier: nobody has it", code="unknown_customer", pointer="/identifier")
    return found


@router.get("/v1/erasures", responses=documented(400))
async def list_erasures(
    page: PageQuery, session: Read, _: MayRead, state: Annotated[State | None, Query()] = None
) -> Page[Erasure]:
    """Erasures, newest first."""
    rows = await queries.listing(session, last_id(page), state, page.limit + 1)
    return paged([view.listed(row) for row in rows], page, lambda item: (str(item.id),))


@router.get("/v1/erasures/{erasure_id}", responses=documented(404))
async def get_erasure(erasure_id: UUID, request: Request, session: Read, _: MayRead) -> ErasureDetail:
    """An erasure, with a receipt of each service, and where copies remain until when."""
    return await view.show(session, erasure_id, _settings(request))


@router.post("/v1/erasures/{erasure_id}/approve", responses=documented(404, 409))
async def approve_erasure(erasure_id: UUID, request: Request, session: Write, who: MayWrite) -> ErasureDetail:
    """Let an erasure begin that a customer asked for, or that was under a legal hold."""
    await service.approve(session, erasure_id, who)
    return await view.show(session, erasure_id, _settings(request))


@router.post("/v1/erasures/{erasure_id}/refuse", responses=documented(404, 409))
async def refuse_erasure(
    erasure_id: UUID, body: ErasureRefuse, request: Request, session: Write, who: MayWrite
) -> ErasureDetail:
    """Do not erase, and why."""
    await service.refuse(session, erasure_id, body.reason, who)
    return await view.show(session, erasure_id, _settings(request))


@router.post("/v1/me/erasure", status_code=201, response_model=MyErasure, responses=documented(400, 404, 409))
async def ask_to_be_forgotten(session: Write, via: CustomerVia, who: Authenticated, once: Idempotent) -> Response:
    """Ask to be forgotten; somebody on the staff has to agree."""

    async def call() -> MyErasure:
        made = await service.request(session, via, "customer_request", who, agreed=False)
        return await view.show_own(session, made)

    return await once.run(session, call, 201, location="/v1/me/erasure")


@router.get("/v1/me/erasure", responses=documented(404))
async def get_my_erasure(session: Read, via: CustomerVia) -> MyErasure:
    """The wish to be forgotten, as far as it is open: afterwards nobody is here who could ask."""
    customer = await service.customer_of(session, via)
    found = await queries.open_of(session, customer)
    if found is None:
        raise NotFound("nothing was asked for", code="no_erasure")
    return MyErasure(**{name: found[name] for name in MyErasure.model_fields})
