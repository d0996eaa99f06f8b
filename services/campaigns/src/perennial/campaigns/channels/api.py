"""`/v1/channels`: how messages leave."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from perennial.campaigns.channels import queries, service
from perennial.campaigns.channels.schemas import ChannelBody, ChannelView
from perennial.common import audit
from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import IfMatch, tag

router = APIRouter(prefix="/v1/channels", tags=["channels"])

Reading = Annotated[Principal, Depends(requires("campaigns:read"))]
Writing = Annotated[Principal, Depends(requires("campaigns:manage"))]
Name = Annotated[str, Path(max_length=64, pattern="^[a-z_]+$")]


@router.get("", responses=documented())
async def list_channels(session: Read, page: PageQuery, _: Reading) -> Page[ChannelView]:
    """Every channel, with its limits."""
    after = last_text(page) or ""
    found = [item for name, item in (await queries.channels(session)).items() if name > after]
    views = [ChannelView.model_validate(item) for item in found]
    return paged(views[: page.limit + 1], page, lambda item: [item.name])


@router.get("/{name}", responses=documented(404))
async def get_channel(name: Name, session: Read, response: Response, _: Reading) -> ChannelView:
    """One channel."""
    found = await service.channel(session, name)
    tag(response, found.version)
    return ChannelView.model_validate(found)


@router.put("/{name}", responses=documented(404, 412, 428))
async def put_channel(
    name: Name, body: ChannelBody, session: Write, response: Response, expected: IfMatch, principal: Writing
) -> ChannelView:
    """Replace a channel's sender, cap and quiet hours; what is already approved leaves as it is."""
    found = await service.change(session, name, dict(body), expected)
    detail: dict[str, Any] = body.model_dump(mode="json")
    await audit.record(session, principal, "channel.changed", name, detail)
    tag(response, found.version)
    return ChannelView.model_validate(found)
