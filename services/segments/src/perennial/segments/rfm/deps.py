"""What the routes of RFM take."""

from typing import Annotated

from fastapi import Depends, Query, Request

from perennial.common.auth import Principal, requires
from perennial.common.settings import CommonSettings
from perennial.segments.rfm.names import By

Reader = Annotated[Principal, Depends(requires("segments:read"))]
Writer = Annotated[Principal, Depends(requires("segments:write"))]
Labelling = Annotated[By, Query(description="By which of the four labels.")]


def settings_of(request: Request) -> CommonSettings:
    """The process's settings."""
    settings: CommonSettings = request.app.state.settings
    return settings


def _currency(
    request: Request,
    currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="ISO 4217; else the deployment's.")] = None,
) -> str:
    return currency or settings_of(request).currency


Settings = Annotated[CommonSettings, Depends(settings_of)]
Currency = Annotated[str, Depends(_currency)]
