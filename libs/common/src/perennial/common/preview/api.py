"""The previews of one service over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from perennial.common.auth import Principal, requires
from perennial.common.preview.looking import MOST, Assigned, Seen, look_ahead
from perennial.common.problems import Forbidden
from perennial.common.service import Service
from perennial.common.web.deps import runtime_of

READ = "identities:read"


class Wanted(BaseModel):
    """What would change."""

    model_config = ConfigDict(extra="forbid")

    assignments: list[Assigned] = Field(min_length=1, max_length=MOST)


def router(service: Service) -> APIRouter:
    """The route of one service. It is no part of the platform's document: the gateway asks it, and composes."""
    made = APIRouter(prefix=f"/v1/previews/{service.name}", include_in_schema=False)
    asked = service.preview
    if asked is None:
        return made

    @made.post("")
    async def preview(body: Wanted, request: Request, who: Annotated[Principal, Depends(requires(READ))]) -> Seen:
        """What would be shown."""
        if not who.may(asked.scope):
            raise Forbidden(f"the scope {asked.scope} is required", code="insufficient_scope")
        return await look_ahead(runtime_of(request).database, service, who, body.assignments)

    return made
