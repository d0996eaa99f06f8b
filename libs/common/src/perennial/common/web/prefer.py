"""`Prefer` (RFC 7240), of which the platform knows `return=minimal` and `respond-async`."""

from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import MutableHeaders
from starlette.types import Scope

MINIMAL, ASYNC = "return=minimal", "respond-async"


def wants(scope: Scope, wish: str) -> bool:
    """Whether a request has that wish; parameters of a wish are none of ours, and a word in quotes is the word."""
    return any(
        said.partition(b";")[0].lower().translate(None, b' \t"') == wish.encode()
        for name, value in scope["headers"]
        if name == b"prefer"
        for said in value.split(b",")
    )


def applied(headers: MutableHeaders, wish: str) -> None:
    """Say that the answer is as it was wished."""
    headers["Preference-Applied"] = wish
    headers.add_vary_header("Prefer")


async def _wants_async(
    request: Request,
    prefer: Annotated[  # noqa: ARG001 (for the document: there may be several such headers)
        str | None, Header(description="`respond-async`: 202 and where to ask, instead of the result (RFC 7240).")
    ] = None,
) -> bool:
    return wants(request.scope, ASYNC)


Async = Annotated[bool, Depends(_wants_async)]
"""Whether the client would rather not wait (`Prefer: respond-async`)."""
