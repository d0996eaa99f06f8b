"""Routes of the tags of customers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from perennial.common import audit
from perennial.common.auth import Principal, requires
from perennial.common.web import Read, Repeatable, Write, documented
from perennial.common.web.idempotency import run
from perennial.profile.tags.assignments import explain, service
from perennial.profile.tags.assignments.schemas import BulkGiven, BulkGiving, CustomerTags, Giving, TagExplanation
from perennial.profile.tags.definitions.api import KeyPath
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["tags"])
MayEdit = Annotated[Principal, Depends(requires("customers:write"))]


@router.get("/v1/customers/{id}/tags", responses=documented(404))
async def list_customer_tags(id: UUID, session: Read, who: MayRead) -> CustomerTags:
    """The tags that a customer shows, each with its lineage and its weight at the customer's stage."""
    return await service.shown(session, who, id)


@router.put("/v1/customers/{id}/tags/{key}", status_code=204, responses=documented(404))
async def give_tag(id: UUID, key: KeyPath, body: Giving, session: Write, who: MayEdit) -> None:
    """Give a customer a manual or an imported tag; the lists show it within moments. Given again, it is renewed."""
    await service.give(session, who, id, key, body)
    await audit.record(session, who, "customer.tagged", str(id), {"key": key, **body.model_dump(mode="json")})


@router.delete("/v1/customers/{id}/tags/{key}", status_code=204, responses=documented(404))
async def take_tag_back(id: UUID, key: KeyPath, session: Write, who: MayEdit) -> None:
    """Take a tag from a customer, whoever gave it; when a merge is undone, the others have again what was theirs."""
    await service.take_back(session, who, id, key)
    await audit.record(session, who, "customer.untagged", str(id), {"key": key})


@router.get("/v1/customers/{id}/tags/{key}/explain", responses=documented(404))
async def explain_tag(id: UUID, key: KeyPath, session: Read, who: MayRead) -> TagExplanation:
    """Why the customer shows a tag, or does not: each part of the rule with what it saw, or what was heard."""
    return await explain.explain(session, who, id, key)


@router.post("/v1/tags/{key}/assignments", response_model=BulkGiven, responses=documented(404))
async def give_tag_to_many(key: KeyPath, body: BulkGiving, session: Write, who: MayEdit, once: Repeatable) -> Response:
    """Give up to 1,000 customers a tag, or take it from them; ids that mean nobody are told and change nothing."""

    async def given() -> BulkGiven:
        told = await service.give_many(session, who, key, body)
        detail = {"held": body.held, "origin": body.origin, "customers": told.customers}
        await audit.record(session, who, "customers.tagged", key, detail)
        return told

    return await run(once, session, given)
