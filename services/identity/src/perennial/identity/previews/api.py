"""`?preview=true` of merges, splits and their undoing."""

from fastapi import Request, Response

from perennial.common.web.deps import runtime_of
from perennial.identity.previews import service
from perennial.identity.previews.schemas import CustomerAhead, MapPreview


async def answer(request: Request, concerned: service.Concerned, verb: service.Verb) -> Response:
    """What the verb would change of the customers of these identifiers. Raises what the verb raises."""
    ahead = await service.preview(runtime_of(request).database, concerned, verb)
    shown = MapPreview(
        preview=True,
        assignments=ahead.assignments,
        customers=[CustomerAhead(id=key, identifiers=vias) for key, vias in sorted(ahead.customers.items())],
    )
    return Response(shown.model_dump_json(exclude_unset=True), media_type="application/json")
