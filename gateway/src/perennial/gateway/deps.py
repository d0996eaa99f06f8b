"""What routes ask of the running gateway. A feature whose routes ask for more says so in a `deps.py` of its own."""

from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from perennial.common.runtime import Runtime
from perennial.gateway.rates import Rates
from perennial.gateway.settings import GatewaySettings


class Access(Protocol):
    """Who may come in, held in memory."""

    async def refresh(self) -> None:
        """Read all keys again. What is committed before the call is seen after it."""


class Edge(Protocol):
    """The part of `edge.Edge` that is no feature's own."""

    runtime: Runtime
    settings: GatewaySettings
    access: Access
    rates: Rates


def running_edge(request: Request) -> Any:
    """The running edge, as each feature sees it."""
    return request.app.state.edge


EdgeOf = Annotated[Edge, Depends(running_edge)]
