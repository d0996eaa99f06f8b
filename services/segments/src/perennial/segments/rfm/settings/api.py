"""Routes of the settings."""

from fastapi import APIRouter, Response

from perennial.common.web import Read, Write, documented
from perennial.common.web.etags import IfMatch, tag
from perennial.segments.rfm.deps import Reader, Writer
from perennial.segments.rfm.settings import service
from perennial.segments.rfm.settings.schemas import SettingsIn, SettingsOut

router = APIRouter(prefix="/v1/rfm/settings", tags=["rfm"])


@router.get("")
async def get_rfm_settings(response: Response, session: Read, who: Reader) -> SettingsOut:
    """How RFM is computed."""
    settings = await service.current(session)
    tag(response, settings.version)
    return settings


@router.put("", responses=documented(400, 412, 428))
async def replace_rfm_settings(
    body: SettingsIn, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SettingsOut:
    """Compute RFM otherwise from here on; a run by the new settings begins at once."""
    settings = await service.replace(session, who, expected, body)
    tag(response, settings.version)
    return settings
