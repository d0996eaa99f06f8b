"""HTTP: the catalogue, for staff and for the customer in person."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.ids import digest_uuid
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_moment, last_number
from perennial.common.web.etags import IfMatch, tag
from perennial.common.web.pages import paged_to
from perennial.loyalty.rewards import queries, service, shown
from perennial.loyalty.rewards.schemas import CodeOut, CodesAdded, CodesIn, OfferOut, RewardIn, RewardOut

router = APIRouter(prefix="/v1/rewards", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/rewards", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Manager = Annotated[Principal, Depends(requires("loyalty:manage"))]
State = Annotated[Literal["active", "hidden", "archived"] | None, Query(description="Null: all.")]


@router.get("", responses=documented(400))
async def list_rewards(_: Reader, session: Read, page: PageQuery, state: State = None) -> Page[RewardOut]:
    """The catalogue, the newest first."""
    rows = await queries.page(session, state, last_moment(page), page.limit + 1)
    return paged([shown.reward(row) for row in rows], page, lambda item: [item.created_at.isoformat(), item.id])


@router.post("", status_code=201, response_model=RewardOut, responses=documented(400, 409))
async def create_reward(principal: Manager, session: Write, body: RewardIn, once: Idempotent) -> Response:
    """Offer a reward."""
    made = digest_uuid("reward", once.id.hex())

    async def create() -> RewardOut:
        return shown.reward(await service.create(session, principal, made, body))

    return await once.run(session, create, location="/v1/rewards/{id}", etag="{version}")


@router.get("/{reward_id}", responses=documented(404))
async def get_reward(_: Reader, session: Read, response: Response, reward_id: UUID) -> RewardOut:
    """A reward."""
    found = await service.get(session, reward_id)
    tag(response, found.version)
    return shown.reward(found)


@router.put("/{reward_id}", responses=documented(400, 404, 412, 428))
async def put_reward(
    principal: Manager, session: Write, response: Response, reward_id: UUID, body: RewardIn, expected: IfMatch
) -> RewardOut:
    """Replace a reward; what is reserved of it keeps its terms."""
    made = await service.replace(session, principal, reward_id, expected, body)
    tag(response, made.version)
    return shown.reward(made)


@router.post("/{reward_id}/codes", status_code=201, response_model=CodesAdded, responses=documented(400, 404, 409))
async def add_reward_codes(
    principal: Manager, session: Write, reward_id: UUID, body: CodesIn, once: Idempotent
) -> Response:
    """Fill the pool of a reward's codes."""

    async def add() -> CodesAdded:
        added, left = await service.add_codes(session, principal, reward_id, body.codes)
        return CodesAdded(reward_id=reward_id, added=added, left=left)

    return await once.run(session, add)


@router.get("/{reward_id}/codes", responses=documented(400, 404))
async def list_reward_codes(_: Manager, session: Read, reward_id: UUID, page: PageQuery) -> Page[CodeOut]:
    """The pool of a reward's codes, in the order in which they are given."""
    await service.check_known(session, reward_id)
    rows = await queries.codes(session, reward_id, last_number(page) or 0, page.limit + 1)
    items = [CodeOut.model_validate(dict(row._mapping)) for row in rows]  # noqa: SLF001
    return paged(items, page, lambda item: [item.id])


@me.get("", responses=documented(400))
async def list_my_rewards(via: CustomerVia, session: Read, page: PageQuery) -> Page[OfferOut]:
    """What I can have, and why not, the newest first."""
    found = await service.offers(session, via, last_moment(page), page.limit + 1)
    items = [shown.offer(row, balance) for row, balance in found[: page.limit]]
    last = [found[page.limit - 1][0].created_at.isoformat(), items[-1].id] if len(found) > page.limit else None
    return paged_to(items, page, last)
