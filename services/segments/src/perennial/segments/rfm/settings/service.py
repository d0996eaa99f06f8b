"""The verbs of the settings: read, replace."""

from perennial.common.audit import record
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.web.etags import match
from perennial.segments.rfm.runs.service import want
from perennial.segments.rfm.settings import queries
from perennial.segments.rfm.settings.schemas import SettingsIn, SettingsOut


async def current(session: ReadSession) -> SettingsOut:
    """The settings in force."""
    row = await queries.newest(session)
    if row is None:
        return SettingsOut(version=0, updated_at=None)
    return SettingsOut(**row.document, version=row.version, updated_at=row.at)


async def replace(session: WriteSession, who: Principal, expected: int | None, wanted: SettingsIn) -> SettingsOut:
    """New settings, by which everybody is computed anew at once. Raises PreconditionFailed."""
    await lock(session, "segments", "rfm", "settings")
    before = await current(session)
    match(expected, before.version)
    await queries.add(session, before.version + 1, wanted.model_dump_json())
    await want(session, "settings")
    await record(session, who, "rfm.settings.replaced", str(before.version + 1), wanted.model_dump(mode="json"))
    return await current(session)
