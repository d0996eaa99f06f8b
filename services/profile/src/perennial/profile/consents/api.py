"""Routes of consent: purposes and texts, a customer's statements, and the customer's own preference centre."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.problems import documented
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, paged
from perennial.common.web.cursors import last_moment
from perennial.common.web.etags import IfMatchOrNew, tag
from perennial.profile.consents import queries, service, view
from perennial.profile.consents.schemas import (
    Choices,
    Consents,
    ConsentText,
    Key,
    Locale,
    PreferenceCentre,
    Purpose,
    PurposeWrite,
    Said,
    StaffChoices,
    TextCreate,
)

router = APIRouter(tags=["privacy"])

MayRead = Annotated[Principal, Depends(requires("privacy:read"))]
MayWrite = Annotated[Principal, Depends(requires("privacy:write"))]
OfPurpose = Annotated[Key | None, Query()]
MOST_TEXTS = 500
ME = Principal("customer", "me", frozenset(), fields=frozenset("*"))


@router.get("/v1/consent-purposes")
async def list_consent_purposes(session: Read, _: MayRead) -> list[Purpose]:
    """What customers can agree to, in the order of the preference centre."""
    return await view.purposes(session)


@router.put("/v1/consent-purposes/{key}", responses=documented(400, 412, 428))
async def put_consent_purpose(
    key: Annotated[Key, Path()], body: PurposeWrite, session: Write, who: MayWrite, seen: IfMatchOrNew,
    response: Response,
) -> Purpose:  # fmt: skip
    """Define a purpose. What customers have said of it stays as it was said."""
    made = Purpose(**await service.put_purpose(session, key, body.model_dump(), seen, who))
    tag(response, made.version)
    return made


@router.get("/v1/consent-texts")
async def list_consent_texts(
    session: Read, _: MayRead, purpose: OfPurpose = None, locale: Annotated[Locale | None, Query()] = None
) -> list[ConsentText]:
    """The texts that customers were shown, newest version first; at most 500."""
    return [ConsentText(**row) for row in await queries.texts(session, purpose, locale, MOST_TEXTS)]


@router.post("/v1/consent-texts", status_code=201, response_model=ConsentText, responses=documented(400))
async def create_consent_text(body: TextCreate, session: Write, who: MayWrite, once: Idempotent) -> Response:
    """The next version of a text. Versions are never changed: statements name the one that was shown."""

    async def call() -> ConsentText:
        return ConsentText(**await service.add_text(session, body.purpose, body.locale, body.title, body.body, who))

    return await once.run(session, call, 201)


@router.get("/v1/customers/{id}/consents", responses=documented(404))
async def get_consents(id: UUID, session: Read, _: MayRead) -> Consents:
    """What holds for a customer: the newest statement of all identifiers, the stricter of two at one instant."""
    customer = await service.customer_of(session, id)
    return Consents(customer_id=customer, items=await view.holding(session, customer))


@router.get("/v1/customers/{id}/consents/history", responses=documented(400, 404))
async def list_consent_history(
    id: UUID, session: Read, page: PageQuery, who: MayRead, purpose: OfPurpose = None
) -> Page[Said]:
    """Every statement with its evidence, newest first."""
    customer = await service.customer_of(session, id)
    rows = await queries.history(session, customer, last_moment(page), purpose, page.limit + 1)
    return paged([Said(**row).seen_by(who) for row in rows], page, lambda item: (item.at.isoformat(), str(item.id)))


@router.post(
    "/v1/customers/{id}/consents", status_code=201, response_model=Consents, responses=documented(400, 404)
)  # fmt: skip
async def record_consents(id: UUID, body: StaffChoices, session: Write, who: MayWrite, once: Idempotent) -> Response:
    """Write down what a customer told somebody, with evidence of it."""

    async def call() -> Consents:
        evidence = body.evidence.model_dump(exclude_none=True)
        customer = await service.told_staff(session, id, body.choices, body.at, evidence, who)
        return Consents(customer_id=customer, items=await view.holding(session, customer))

    return await once.run(session, call, 201)


@router.get("/v1/me/consents", responses=documented(404))
async def get_my_consents(
    session: Read, via: CustomerVia, locale: Annotated[Locale, Query(description="Of labels and texts.")] = "en"
) -> PreferenceCentre:
    """The customer's preference centre."""
    return await view.centre(session, await service.customer_of(session, via), locale)


@router.put("/v1/me/consents", responses=documented(400, 404))
async def put_my_consents(
    body: Choices, request: Request, session: Write, via: CustomerVia,
    locale: Annotated[Locale, Query(description="Of labels and texts.")] = "en",
) -> PreferenceCentre:  # fmt: skip
    """Change what is named; what is not named stays. A withdrawal holds at once."""
    customer = await service.customer_of(session, via)
    agent = request.headers.get("user-agent", "")[:400].replace("\x00", "")
    await service.choose(
        session, via, body.choices, None, source="/v1/me/consents", method="preference_centre", who="customer",
        evidence={"user_agent": agent} if agent else {},
    )  # fmt: skip
    return await view.centre(session, customer, locale)


@router.get("/v1/me/consents/history", responses=documented(400, 404))
async def list_my_consent_history(session: Read, page: PageQuery, via: CustomerVia) -> Page[Said]:
    """All that the customer ever said, newest first."""
    rows = await queries.history(
        session, await service.customer_of(session, via), last_moment(page), None, page.limit + 1
    )  # fmt: skip
    return paged([Said(**row).seen_by(ME) for row in rows], page, lambda item: (item.at.isoformat(), str(item.id)))
