"""What the routes of principals ask of the running gateway."""

from typing import Annotated, Protocol

from fastapi import Depends

from perennial.gateway import deps
from perennial.gateway.principals.memory import Memory
from perennial.gateway.principals.oidc.provider import Provider
from perennial.gateway.principals.sessions.service import Logins
from perennial.gateway.principals.tokens import Tokens


class Access(deps.Access, Protocol):
    """With the principals of the deployment."""

    principals: Memory


class Edge(deps.Edge, Protocol):
    """The part of the edge that knows principals, and signs them in."""

    access: Access
    tokens: Tokens
    logins: Logins
    provider: Provider | None


EdgeOf = Annotated[Edge, Depends(deps.running_edge)]
