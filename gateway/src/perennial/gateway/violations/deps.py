"""What the routes of violations ask of the running gateway."""

from typing import Annotated, Protocol

from fastapi import Depends

from perennial.gateway.deps import running_edge
from perennial.gateway.plans import deps as plans
from perennial.gateway.violations.service import Replayer


class Edge(plans.Edge, Protocol):
    """The part of the edge that judges events again."""

    replayer: Replayer


EdgeOf = Annotated[Edge, Depends(running_edge)]
