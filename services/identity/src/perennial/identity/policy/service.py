"""The policy in force, and a new version of it."""

from collections.abc import Mapping
from typing import Any

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.web import etags
from perennial.identity.policy import queries, rules
from perennial.identity.policy.rules import DEFAULT, Policy


async def in_force(session: ReadSession, known: Policy = DEFAULT) -> Policy:
    """The policy in force: `known` itself, if it still is."""
    if await queries.version(session) == known.version:
        return known
    newest = await queries.newest(session)
    return DEFAULT if newest is None else rules.read(newest["version"], newest["definition"])


async def replace(
    session: WriteSession, definition: Mapping[str, Any], expected: int | None, principal: Principal
) -> int:
    """Put a new version in force and return its number; customers that exist stay as they are.

    Raises PreconditionFailed when another version than the expected one is in force.
    """
    await queries.hold(session)
    current = await queries.version(session)
    etags.match(expected, current)
    await queries.add(session, current + 1, definition, f"{principal.kind}:{principal.id}")
    await audit.record(session, principal, "policy.replaced", "policy", {"version": current + 1})
    return current + 1
