"""Unmodified SDKs, and what they need to run: Node, a web site, a browser, a tap on the line."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.e2e.sdks.story")

HERE = Path(__file__).parent


def require_packages() -> None:
    """Say what is missing where the packages from npm are not installed."""
    assert (HERE / "node_modules" / ".stamp").exists(), "the SDKs from npm are not installed: run `make sdks`"
