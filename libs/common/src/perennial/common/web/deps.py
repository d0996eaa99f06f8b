"""Sessions for routes: one request is one transaction, committed before the answer leaves."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from perennial.common.db import ReadSession, WriteSession
from perennial.common.runtime import Runtime


def runtime_of(request: Request) -> Runtime:
    """The process's handles."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def read_session(request: Request) -> AsyncIterator[ReadSession]:
    """A session that is rolled back after the route."""
    async with runtime_of(request).database.read() as session:
        yield session


async def write_session(request: Request) -> AsyncIterator[WriteSession]:
    """A session whose transaction is committed after the route and before the response."""
    async with runtime_of(request).database.write() as session:
        yield session


# FastAPI's default scope would commit after the response was sent: a client could read its own write too early,
# and a failed commit would have been answered 200.
Read = Annotated[ReadSession, Depends(read_session, scope="function")]
Write = Annotated[WriteSession, Depends(write_session, scope="function")]
