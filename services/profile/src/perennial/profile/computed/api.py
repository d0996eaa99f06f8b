"""Routes of computed traits."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from perennial.common import audit, identity_map
from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import IfMatch, match, tag
from perennial.common.web.idempotency import run
from perennial.profile.computed import definitions, service, view
from perennial.profile.computed.checks import refuse
from perennial.profile.computed.schemas import ComputedExplained, ComputedIn, ComputedOut, ComputedValue
from perennial.profile.params import Word, nobody
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["computed traits"])

Reader = Annotated[Principal, Depends(requires("schema:read"))]
Writer = Annotated[Principal, Depends(requires("schema:write"))]
Named = Annotated[Word, Path(max_length=100), Field(description="The key of the trait.")]


@router.post("/v1/computed-traits", status_code=201, response_model=ComputedOut, responses=documented(409))
async def create_computed_trait(body: ComputedIn, session: Write, who: Writer, once: Repeatable) -> Response:
    """Declare a computed trait. Its past is counted in the background: `state` tells when customers are shown it."""

    async def define() -> ComputedOut:
        await service.define(session, who, body.key, body.labels(), body.spec())
        made = view.out(await service.find(session, body.key), who)
        await audit.record(session, who, "computed_trait.created", body.key, made.definition)
        return made

    return await run(once, session, define, 201, location="/v1/computed-traits/{key}", etag="{version}")


@router.get("/v1/computed-traits", responses=documented(400))
async def list_computed_traits(page: PageQuery, session: Read, who: Reader) -> Page[ComputedOut]:
    """Every computed trait that is not archived, by key."""
    rows = await definitions.page(session, last_text(page) or "", page.limit + 1)
    return paged([view.out(row, who) for row in rows], page, lambda item: [item.key])


@router.get("/v1/computed-traits/{key}", responses=documented(404))
async def get_computed_trait(key: Named, response: Response, session: Read, who: Reader) -> ComputedOut:
    """One definition."""
    row = await service.find(session, key)
    tag(response, row.version)
    return view.out(row, who)


@router.put("/v1/computed-traits/{key}", responses=documented(400, 404, 412, 428))
async def replace_computed_trait(
    key: Named, body: ComputedIn, expected: IfMatch, response: Response, session: Write, who: Writer
) -> ComputedOut:
    """A new version of the whole definition; the one before is shown until the new one is ready."""
    row = await service.find(session, key, lock=True)
    match(expected, row.version)
    if body.key != key:
        raise refuse("/key", "cannot change")
    await service.replace(session, who, row, body.labels(), body.spec())
    made = view.out(await service.find(session, key), who)
    await audit.record(session, who, "computed_trait.changed", key, made.definition)
    tag(response, made.version)
    return made


@router.delete("/v1/computed-traits/{key}", status_code=204, responses=documented(400, 404, 412, 428))
async def archive_computed_trait(key: Named, expected: IfMatch, session: Write, who: Writer) -> None:
    """Archive a computed trait: customers show it no more, its definition is kept."""
    row = await service.find(session, key, lock=True)
    match(expected, row.version)
    await service.archive(session, key)
    await audit.record(session, who, "computed_trait.archived", key)


@router.get("/v1/customers/{id}/computed-traits", responses=documented(404))
async def list_customer_computed_traits(id: UUID, session: Read, who: MayRead) -> list[ComputedValue]:
    """Every computed trait of a customer as of now; an old id answers for the customer it belongs to today."""
    return await view.of_customer(session, who, await _customer(session, id))


@router.get("/v1/customers/{id}/computed-traits/{key}", responses=documented(404))
async def explain_customer_computed_trait(id: UUID, key: Named, session: Read, who: MayRead) -> ComputedExplained:
    """One of them, with what it is made of."""
    row = await service.find(session, key)
    return await view.explain(session, who, await _customer(session, id), row)


async def _customer(session: Read, any_id: UUID) -> UUID:
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    return customer
