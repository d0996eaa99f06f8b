"""Routes of orders."""

import zoneinfo
from typing import Annotated

from fastapi import APIRouter, Query, Request

from perennial.common.settings import CommonSettings
from perennial.common.web import Read, Unprocessable
from perennial.profile.orders import summary
from perennial.profile.orders.schemas import OrdersSummary
from perennial.profile.params import Word
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["orders"])


@router.get("/v1/orders/summary")
async def summarise_orders(
    request: Request,
    session: Read,
    _: MayRead,
    timezone: Annotated[
        Word | None, Query(max_length=100, description="IANA zone of the months; default: the deployment's.")
    ] = None,
) -> OrdersSummary:
    """All orders by calendar month, cancelled ones left out."""
    settings: CommonSettings = request.app.state.settings
    return await summary.by_month(session, _zone(timezone or settings.timezone), settings.currency)


def _zone(name: str) -> str:
    try:
        return zoneinfo.ZoneInfo(name).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unprocessable(
            f"timezone: there is no zone {name!r}", code="unknown_timezone", pointer="query/timezone"
        ) from error
