"""Fixtures of the segments tests."""

import pytest

from perennial.common.service import Service
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.segments.main import SERVICE


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE
