"""Change for how long the timeline keeps what."""

from collections.abc import Mapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.web import etags
from perennial.profile.timeline.retention import queries


async def change(
    session: WriteSession, who: Principal, months: Mapping[str, int], expected: int | None
) -> tuple[dict[str, int], int]:
    """The months by data class as they are now, and their version; written down who changed them.

    Raises PreconditionFailed when they are not of the expected version.
    """
    await queries.hold(session)
    before, version = await queries.read(session)
    etags.match(expected, version)
    changed = {name: value for name, value in months.items() if before[name] != value}
    if changed:
        await queries.write(session, changed)
        detail = {name: {"from": before[name], "to": value} for name, value in changed.items()}
        await audit.record(session, who, "retention.changed", "timeline", detail)
    return await queries.read(session)
