"""The verbs of tracking plans: put in force, withdraw."""

from collections.abc import Mapping
from typing import Any

from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.web import NotFound, PreconditionFailed
from perennial.common.web.etags import NEW, match
from perennial.gateway.plans import queries
from perennial.gateway.plans.models import TrackingPlan
from perennial.gateway.plans.plan import compiled
from perennial.gateway.sources import service as sources


async def put(
    session: WriteSession, source_id: str, document: Mapping[str, Any], *, by: Principal, expected: int | None
) -> TrackingPlan:
    """A new version of a source's plan, in force when the transaction commits.

    Raises Unprocessable for a plan that cannot be compiled, and PreconditionFailed.
    """
    compiled(document)
    source = await sources.locked(session, source_id)
    _match(expected, source.plan_version)
    version = await queries.latest(session, source_id) + 1
    plan = TrackingPlan(
        source_id=source_id, version=version, document=dict(document), created_by=f"{by.kind}:{by.id}"
    )  # fmt: skip
    session.add(plan)
    source.plan_version = version
    await sources.changed(session, source, by=by, action="source.plan_set", detail={"plan": version})
    await session.refresh(plan)
    return plan


async def withdraw(session: WriteSession, source_id: str, *, by: Principal, expected: int | None) -> None:
    """From now on the source may send what it likes; the versions stay. Raises NotFound, PreconditionFailed."""
    source = await sources.locked(session, source_id)
    if source.plan_version is None:
        raise missing(source_id)
    match(expected, source.plan_version)
    withdrawn, source.plan_version = source.plan_version, None
    await sources.changed(session, source, by=by, action="source.plan_withdrawn", detail={"plan": withdrawn})


def missing(source_id: str) -> NotFound:
    """The source has no plan."""
    return NotFound(f"source_id: the source {source_id!r} has no tracking plan", code="no_plan")


def _match(expected: int | None, held: int | None) -> None:
    if held is not None:
        match(expected, held)
    elif expected != NEW:
        raise PreconditionFailed("If-Match: there is no tracking plan", pointer="header/If-Match")
