"""`/v1/journeys`: drafts, publication, enrolment on request, the funnel."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from perennial.campaigns.journeys import funnel as funnels
from perennial.campaigns.journeys import queries, service, veiled
from perennial.campaigns.journeys.models import Journey
from perennial.campaigns.journeys.schemas import (
    EnrolBody,
    Enrolled,
    FunnelView,
    JourneyBody,
    JourneyPatch,
    JourneyView,
    State,
    VersionView,
)
from perennial.campaigns.plans.definition import read
from perennial.common import audit, masks
from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import LARGEST_INTEGER, last_id, last_number
from perennial.common.web.etags import IfMatch, tag
from perennial.common.web.idempotency import run

router = APIRouter(prefix="/v1/journeys", tags=["journeys"])

Reading = Annotated[Principal, Depends(requires("campaigns:read"))]
Writing = Annotated[Principal, Depends(requires("campaigns:write"))]
Sending = Annotated[Principal, Depends(requires("campaigns:send"))]


def _view(principal: Principal, found: Journey) -> JourneyView:
    view = JourneyView.model_validate(found)
    return view.model_copy(update={"definition": masks.shown_conditions(principal, view.definition)})


@router.post("", status_code=201, response_model=JourneyView, responses=documented(400, 409))
async def create_journey(body: JourneyBody, session: Write, principal: Writing, once: Repeatable) -> Response:
    """Draft a journey; it does nothing until it is published. `Idempotency-Key` is heeded."""

    async def call() -> JourneyView:
        veiled.check(principal, read(body.definition))
        made = await service.draft(session, body.name, body.definition)
        await audit.record(session, principal, "journey.drafted", str(made.id), {"name": made.name})
        return _view(principal, made)

    return await run(once, session, call, 201, location="/v1/journeys/{id}", etag="{revision}")


@router.get("", responses=documented(400))
async def list_journeys(session: Read, page: PageQuery, who: Reading, state: State | None = None) -> Page[JourneyView]:
    """Journeys, newest first."""
    rows = await queries.listed(session, state, last_id(page), page.limit + 1)
    return paged([_view(who, row) for row in rows], page, lambda item: [item.id])


@router.get("/{journey_id}", responses=documented(404))
async def get_journey(journey_id: UUID, session: Read, response: Response, who: Reading) -> JourneyView:
    """One journey with its draft."""
    return _tagged(response, _view(who, await service.journey(session, journey_id)))


@router.put("/{journey_id}", responses=documented(404, 409, 412, 428))
async def put_journey(
    journey_id: UUID, body: JourneyBody, session: Write, response: Response, expected: IfMatch, principal: Writing
) -> JourneyView:
    """Replace name and draft; what is published stays as it is."""
    veiled.check(principal, read(body.definition))
    found = await service.change(session, journey_id, body.name, body.definition, expected)
    await audit.record(session, principal, "journey.changed", str(journey_id))
    return _tagged(response, _view(principal, found))


@router.patch("/{journey_id}", responses=documented(404, 409, 412, 428))
async def patch_journey(
    journey_id: UUID, body: JourneyPatch, session: Write, response: Response, expected: IfMatch, principal: Writing
) -> JourneyView:
    """Change the name or members of the draft, which is checked as a whole; lists are replaced."""
    definition: dict[str, Any] | None = None
    if body.definition is not None:
        definition = await service.patched(session, journey_id, body.definition, expected)
        veiled.check(principal, read(definition))
    found = await service.change(session, journey_id, body.name, definition, expected)
    await audit.record(session, principal, "journey.changed", str(journey_id))
    return _tagged(response, _view(principal, found))


@router.delete("/{journey_id}", responses=documented(404, 412, 428))
async def archive_journey(
    journey_id: UUID, session: Write, response: Response, expected: IfMatch, principal: Writing
) -> JourneyView:
    """Archive: everybody on it leaves, and nobody enters again. The figures stay."""
    found = await service.archive(session, journey_id, expected)
    await audit.record(session, principal, "journey.archived", str(journey_id))
    return _tagged(response, _view(principal, found))


@router.post("/{journey_id}/publish", responses=documented(404, 409))
async def publish_journey(journey_id: UUID, session: Write, response: Response, principal: Sending) -> JourneyView:
    """Check the draft and let it run as a new version; who is on an older one stays on it."""
    found = await service.publish(session, journey_id, f"{principal.kind}:{principal.id}")
    detail = {"version": found.published_version}
    await audit.record(session, principal, "journey.published", str(journey_id), detail)
    return _tagged(response, _view(principal, found))


@router.post("/{journey_id}/pause", responses=documented(404, 409))
async def pause_journey(journey_id: UUID, session: Write, response: Response, principal: Writing) -> JourneyView:
    """Hold everybody where they are, and let nobody enter."""
    found = await service.pause(session, journey_id)
    await audit.record(session, principal, "journey.paused", str(journey_id))
    return _tagged(response, _view(principal, found))


@router.post("/{journey_id}/resume", responses=documented(404, 409))
async def resume_journey(journey_id: UUID, session: Write, response: Response, principal: Sending) -> JourneyView:
    """Let a paused journey go on; what fell due meanwhile happens now."""
    found = await service.resume(session, journey_id)
    await audit.record(session, principal, "journey.resumed", str(journey_id))
    return _tagged(response, _view(principal, found))


@router.post("/{journey_id}/enrol", response_model=Enrolled, responses=documented(400, 404, 409))
async def enrol(journey_id: UUID, body: EnrolBody, session: Write, principal: Sending, once: Repeatable) -> Response:
    """Enrol the members of a segment, or customers by id (old ids of merged customers too)."""

    async def call() -> Enrolled:
        entered = await service.enrol(session, journey_id, dict(body), f"{principal.kind}:{principal.id}")
        answer = Enrolled(enrolled=entered.count, refused=dict(entered.refused))
        await audit.record(session, principal, "journey.enrolled", str(journey_id), answer.model_dump())
        return answer

    return await run(once, session, call)


@router.get("/{journey_id}/versions", responses=documented(400, 404))
async def list_versions(journey_id: UUID, session: Read, page: PageQuery, who: Reading) -> Page[VersionView]:
    """What was published, newest first."""
    await service.journey(session, journey_id)
    rows = await queries.versions(session, journey_id, last_number(page, LARGEST_INTEGER), page.limit + 1)
    views = [VersionView.model_validate(row) for row in rows]
    shown = [view.model_copy(update={"definition": masks.shown_conditions(who, view.definition)}) for view in views]
    return paged(shown, page, lambda item: [item.version])


@router.get("/{journey_id}/funnel", responses=documented(404))
async def get_funnel(
    journey_id: UUID, session: Read, _: Reading, version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None
) -> FunnelView:
    """Who entered, where they are, how they left; of one published version or of all."""
    journey = await service.journey(session, journey_id)
    return FunnelView.model_validate(await funnels.funnel(session, journey, version))


def _tagged(response: Response, view: JourneyView) -> JourneyView:
    tag(response, view.revision)
    return view
