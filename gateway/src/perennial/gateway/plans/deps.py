"""What the routes of tracking plans ask of the running gateway."""

from typing import Annotated, Protocol

from fastapi import Depends

from perennial.gateway import deps
from perennial.gateway.plans.plan import Plan


class Access(deps.Access, Protocol):
    """With the plans in force, by source."""

    plans: dict[str, Plan]


class Edge(deps.Edge, Protocol):
    """The part of the edge that judges by plans."""

    access: Access


EdgeOf = Annotated[Edge, Depends(deps.running_edge)]
