"""The plans in force, compiled once for each version."""

from collections.abc import Iterable, Mapping

import structlog

from perennial.common.db import ReadSession
from perennial.common.web import Unprocessable
from perennial.gateway.plans import queries
from perennial.gateway.plans.plan import Plan, compiled
from perennial.gateway.sources.models import Source

log = structlog.get_logger()


async def in_force(session: ReadSession, sources: Iterable[Source], known: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plan of every source that has one; what is `known` is not compiled again."""
    wanted = {source.id: source.plan_version for source in sources if source.plan_version is not None}
    found = {
        source_id: plan for source_id, plan in known.items() if wanted.get(source_id) == plan.version
    }  # fmt: skip
    missing = [(source_id, version) for source_id, version in wanted.items() if source_id not in found]
    for row in await queries.some(session, missing):
        try:
            found[row.source_id] = compiled(row.document, row.version)
        except Unprocessable:  # it was accepted by another version of the library
            log.exception("plan.unusable", source_id=row.source_id, version=row.version)
    return found
