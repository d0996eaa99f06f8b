"""Routes of lists of customers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Unprocessable, documented
from perennial.common.web.pages import paged_to
from perennial.profile.params import Word
from perennial.profile.search import params, service
from perennial.profile.search.filters import Wanted
from perennial.profile.search.items import CustomerItem
from perennial.profile.search.schemas import Identifiers, Known
from perennial.profile.search.service import Asked
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["customers"])


@router.get("/v1/customers", responses=documented(400, 403))
async def list_customers(  # noqa: PLR0913, PLR0917 (what a list can be asked for)
    request: Request,
    session: Read,
    page: PageQuery,
    who: MayRead,
    identifier: Annotated[Word | None, Query(max_length=400, description="`kind:value`, such as email:a@b.cd.")] = None,
    q: Annotated[
        Word | None,
        Query(
            min_length=1,
            max_length=200,
            description="A name or its beginning, in any script or in pinyin, or an identifier.",
        ),
    ] = None,
    tag: Annotated[Word | None, Query(max_length=2000, description="Tags joined by commas: all of them.")] = None,
    stage: Annotated[Word | None, Query(max_length=2000, description="Stages joined by commas: one of them.")] = None,
    segment: Annotated[UUID | None, Query(description="Its members.")] = None,
    filter: Annotated[
        Word | None, Query(max_length=6000, description="A rule about traits and segments, as JSON.")
    ] = None,
    sort: Annotated[
        Word | None,
        Query(
            max_length=300,
            description="id, name, first_seen, last_seen or trait.<key>; a minus before it turns it round. "
            "Without it a search by `q` ranks: the very name, then its beginnings, then what resembles it.",
        ),
    ] = None,
) -> Page[CustomerItem]:
    """Customers who are all that is asked for.

    `trait.<path>=<value>` asks for a trait, `trait.<path>[<operator>]=<value>` compares it, as in `trait.age[gte]=30`.
    A page may have fewer customers than its limit, even none, and not be the last: `next_cursor` tells. What is masked
    for you can neither be searched, filtered by nor sorted by.
    """
    asked = Asked(Wanted(params.several(tag), params.several(stage), segment, params.rule(filter, request)), q, sort)
    who = await service.seeing(session, who)
    if identifier is not None:
        if asked != Asked():
            raise Unprocessable(
                "identifier: cannot be combined with other wishes", code="invalid_request", pointer="query/identifier"
            )
        items = await service.by_identifier(session, identifier)
        return paged_to([item.seen_by(who) for item in items], page, None)
    found = await service.search(session, who, asked, page.limit, page.after)
    items = await service.items(session, found.ids)
    return paged_to([item.seen_by(who) for item in items], page, found.last)


@router.post("/v1/customers/known")
async def find_known_customers(
    body: Identifiers, session: Read, _: Annotated[Principal, Depends(requires("customers:import"))]
) -> Known:
    """Which of many people are customers already: what the trial run of an import tells."""
    return Known(known=await service.known(session, body.people))
