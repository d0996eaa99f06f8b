"""The route by which the gateway gathers what a service holds about a person; part of no public document."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from perennial.common.auth import Principal, requires
from perennial.common.privacy import exporting
from perennial.common.privacy.terms import Subject
from perennial.common.problems import NotFound
from perennial.common.service import Service
from perennial.common.web.deps import Read, runtime_of

# Nobody's: the gateway alone signs tokens with it, for the export that it composes.
SCOPE = "export:gather"

_SUBJECT = text("""
    SELECT customer_id, via, digest FROM identity_map
    WHERE customer_id = (SELECT customer_id FROM identity_map WHERE via = :id) ORDER BY via""")


class Wanted(BaseModel):
    """Whose data, and from where on."""

    model_config = ConfigDict(extra="forbid")

    vias: list[UUID] = Field(min_length=1, max_length=5000)
    digests: list[str] = Field(default=[], max_length=5000)
    section: int = Field(default=0, ge=0)
    after: str = ""


class Whose(BaseModel):
    """A customer, by today's id or an old one."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID


class Whom(BaseModel):
    """All identifiers of a customer."""

    customer_id: UUID
    vias: list[UUID]
    digests: list[str]


class Given(BaseModel):
    """Rows of one section, and where the next ones are: `next_section` is null at the end."""

    section: str | None
    rows: list[dict[str, Any]]
    next_section: int | None
    after: str


def router(service: Service) -> APIRouter:
    """The route of one service."""
    made = APIRouter(prefix=f"/v1/privacy/{service.name}", include_in_schema=False)
    privacy = service.privacy
    if privacy is None:
        return made

    @made.post("/subject")
    async def subject(body: Whose, session: Read, _: Annotated[Principal, Depends(requires(SCOPE))]) -> Whom:
        """Who it is."""
        rows = (await session.execute(_SUBJECT, {"id": body.customer_id})).all()
        if not rows:
            raise NotFound("there is no such customer", code="unknown_customer")
        digests = [bytes(row.digest).hex() for row in rows if row.digest]
        return Whom(customer_id=rows[0].customer_id, vias=[row.via for row in rows], digests=digests)

    @made.post("")
    async def given(body: Wanted, request: Request, _: Annotated[Principal, Depends(requires(SCOPE))]) -> Given:
        """Some rows."""
        subject = Subject(frozenset(body.vias), frozenset(map(bytes.fromhex, body.digests)))
        source = exporting.Source(runtime_of(request), privacy, service.metadata)
        page = await exporting.page(source, subject, body.section, body.after)
        return Given(
            section=page.section, rows=jsonable_encoder(page.rows), next_section=page.next_section, after=page.after
        )

    return made
