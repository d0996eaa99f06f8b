"""`/v1/traits`: what a shop's traits are, which were only seen, and what was not taken."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field

from perennial.common.auth import Principal, requires
from perennial.common.problems import Unprocessable
from perennial.common.rules import trait_key
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, cursors, documented, etags, paged
from perennial.common.web.etags import IfMatch
from perennial.common.web.idempotency import run
from perennial.profile.params import Word
from perennial.profile.traits.definitions import form, queries, schema, service
from perennial.profile.traits.definitions.schemas import (
    Guess,
    NewTrait,
    Refused,
    TraitChange,
    TraitDefined,
    TraitShown,
)

router = APIRouter(prefix="/v1/traits", tags=["traits"])

Reader = Annotated[Principal, Depends(requires("schema:read"))]
Writer = Annotated[Principal, Depends(requires("schema:write"))]
Key = Annotated[Word, Path(min_length=1, max_length=200, description="In any spelling.")]


class TraitForm(BaseModel):
    """How to render and to check an edit form of a customer's traits."""

    language: Literal["en", "zh"]
    revision: str = Field(description="Differs after every change of a definition.")
    json_schema: dict[str, Any] = Field(
        alias="schema", description="JSON Schema 2020-12 of an object of traits by key."
    )
    layout: list[dict[str, Any]] = Field(description="Groups in order, each with its fields in order.")


@router.get("", responses=documented(400))
async def list_traits(
    session: Read,
    page: PageQuery,
    _: Reader,
    archived: Annotated[bool, Query(description="Archived ones too.")] = False,  # noqa: FBT002 (a query parameter)
) -> Page[TraitShown]:
    """Traits that are defined or built in, by key. What was only seen is at /v1/traits/proposed."""
    after = cursors.last_text(page) or ""
    items = [item for item in await service.listing(session, archived=archived) if item.key > after]
    return paged(items[: page.limit + 1], page, lambda item: [item.key])


@router.get("/proposed", responses=documented(400))
async def list_proposed_traits(session: Read, page: PageQuery, _: Reader) -> Page[Guess]:
    """Traits that events have said and that nobody has defined: they are kept and shown, with a guess of their type."""
    items = await service.proposed(session, cursors.last_text(page) or "", page.limit + 1)
    return paged(items, page, lambda item: [item.key])


@router.get("/refused", responses=documented(400))
async def list_refused_values(
    session: Read, page: PageQuery, _: Reader, key: Annotated[Word | None, Query(max_length=200)] = None
) -> Page[Refused]:
    """How often values did not fit a definition, by trait, source and reason. They replaced nothing."""
    after = cursors.last(page, cursors.text, cursors.text, cursors.text) or ("", "", "")
    rows = await queries.refused(session, trait_key(key) if key else None, after, page.limit + 1)
    items = [Refused.model_validate({**row, "examples": row["examples"] or []}) for row in rows]
    return paged(items, page, lambda item: [item.key, item.source, item.reason])


@router.get("/form", response_model=TraitForm)
async def get_trait_form(
    session: Read,
    response: Response,
    who: Annotated[Principal, Depends(requires("customers:read"))],
    lang: Annotated[Literal["en", "zh"] | None, Query()] = None,
    accept_language: Annotated[str | None, Header(max_length=500)] = None,
) -> dict[str, Any]:
    """The edit form: a JSON Schema of values, groups and fields with labels; read-only is what you may not change."""
    known = await schema.in_force(session)
    language = form.language_of(lang, accept_language)
    response.headers["Content-Language"], response.headers["Vary"] = language, "Accept-Language"
    traits = await service.listing(session, archived=False)
    return form.document(traits, schema.seeing(who, known), language, known.revision)


@router.post("", status_code=201, responses=documented(400, 409))
async def create_trait(body: NewTrait, session: Write, who: Writer, once: Repeatable) -> Response:
    """Define a trait, be it new, built in or proposed: in force from the next batch of events on."""
    return await run(
        once, session, lambda: service.define(session, who, body), 201, location="/v1/traits/{key}", etag="{version}"
    )


@router.get("/{key}", responses=documented(404))
async def get_trait(key: Key, session: Read, response: Response, _: Reader) -> TraitShown:
    """One trait that is defined or built in."""
    found = await service.shown(session, trait_key(key))
    etags.tag(response, found.version)
    return found


@router.put("/{key}", responses=documented(400, 404, 412, 428))
async def put_trait(
    key: Key, body: TraitChange, session: Write, response: Response, expected: IfMatch, who: Writer
) -> TraitShown:
    """Replace a definition; what is stored is brought in line with it in the background (`applied`)."""
    try:
        whole = TraitDefined(key=trait_key(key), **body.model_dump())
    except ValueError as error:
        raise Unprocessable(_first(error), code="invalid_request", pointer="/sensitivity") from error
    found = await service.redefine(session, who, whole, expected)
    etags.tag(response, found.version)
    return found


@router.post("/{key}/adopt", status_code=201, responses=documented(400, 404, 409))
async def adopt_trait(key: Key, session: Write, who: Writer, once: Repeatable) -> Response:
    """Define a trait that was only seen, or one that is built in, as it looks; change it afterwards as you like."""
    return await run(
        once, session, lambda: service.adopt(session, who, trait_key(key)), 201,
        location="/v1/traits/{key}", etag="{version}",
    )  # fmt: skip


@router.post("/{key}/archive", responses=documented(400, 404, 412, 428))
async def archive_trait(key: Key, session: Write, response: Response, expected: IfMatch, who: Writer) -> TraitShown:
    """Take a definition out of force; what customers said is kept and shown as it was."""
    found = await service.archive(session, who, trait_key(key), expected)
    etags.tag(response, found.version)
    return found


class TraitVersion(BaseModel):
    """An earlier definition."""

    version: int
    definition: TraitDefined
    archived: bool
    at: datetime
    by: str


@router.get("/{key}/versions", responses=documented(400))
async def list_trait_versions(key: Key, session: Read, page: PageQuery, _: Reader) -> Page[TraitVersion]:
    """Definitions of a trait, newest first."""
    before = cursors.last_number(page) or cursors.LARGEST
    rows = await queries.versions(session, trait_key(key), before, page.limit + 1)
    return paged([TraitVersion.model_validate(dict(row)) for row in rows], page, lambda item: [item.version])


def _first(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    return str(errors()[0]["msg"]).removeprefix("Value error, ") if errors else str(error)
