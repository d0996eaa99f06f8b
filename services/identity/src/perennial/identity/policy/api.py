"""`/v1/identity/policy`: which identifiers join whom, and how many a customer may hold."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from sqlalchemy import RowMapping

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import documented
from perennial.common.web import Page, PageQuery, Read, Write, etags, paged
from perennial.common.web.cursors import last_number
from perennial.common.web.etags import IfMatch
from perennial.identity.policy import queries, service
from perennial.identity.policy.rules import DEFAULT, Policy
from perennial.identity.policy.schemas import PolicyBody, PolicyShown

router = APIRouter(prefix="/v1/identity/policy", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Manager = Annotated[Principal, Depends(requires("identities:manage"))]


@router.get("")
async def get_policy(session: Read, response: Response, _: Reader) -> PolicyShown:
    """The policy in force."""
    return await _current(session, response)


@router.put("", responses=documented(400, 412, 428))
async def put_policy(
    body: PolicyBody, session: Write, response: Response, expected: IfMatch, principal: Manager
) -> PolicyShown:
    """Replace the policy: the next batch of events is decided by it. Customers that exist stay as they are."""
    await service.replace(session, body.model_dump(), expected, principal)
    return await _current(session, response)


@router.get("/versions", responses=documented(400))
async def list_policy_versions(session: Read, page: PageQuery, _: Reader) -> Page[PolicyShown]:
    """Earlier versions too, newest first; the one that is built in has number 0."""
    last = last_number(page)
    rows = await queries.listing(session, last, page.limit + 1)
    shown = [_shown(row) for row in rows]
    if len(shown) <= page.limit and last != 0:
        shown.append(_built_in(DEFAULT))
    return paged(shown, page, lambda item: [item.version])


async def _current(session: ReadSession, response: Response) -> PolicyShown:
    newest = await queries.newest(session)
    shown = _built_in(DEFAULT) if newest is None else _shown(newest)
    etags.tag(response, shown.version)
    return shown


def _shown(row: RowMapping) -> PolicyShown:
    kept: dict[str, Any] = row["definition"]
    return PolicyShown(version=row["version"], created_at=row["created_at"], created_by=row["created_by"], **kept)


def _built_in(policy: Policy) -> PolicyShown:
    kinds = [
        {"kind": kind, "limit": rule.limit, "shared_after": rule.shared_after}
        for kind, rule in sorted(policy.rules.items(), key=lambda item: item[1].rank)
    ]
    found = {"kinds": kinds, "version": policy.version, "created_at": None, "created_by": None}
    return PolicyShown.model_validate(found)
