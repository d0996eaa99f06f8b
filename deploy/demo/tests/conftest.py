"""The data prepared once, and a client of a server that answers as it is told."""

from collections.abc import AsyncIterator

import pytest

from perennial.demo.client import Client
from perennial.demo.data import Load, prepare
from perennial.demo.reference import Reference, compute
from perennial.demo.testing import Server

SHIFT = 3247
LIMIT = 3_000


@pytest.fixture(scope="session")
def everything() -> Load:
    return prepare(SHIFT)


@pytest.fixture(scope="session")
def sample() -> Load:
    return prepare(SHIFT, LIMIT)


@pytest.fixture(scope="session")
def files() -> Reference:
    return compute(SHIFT)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().listening() as fake:
        yield fake


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.url, "write", "secret", patience=10) as one:
        yield one
