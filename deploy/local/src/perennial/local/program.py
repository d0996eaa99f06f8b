"""A program to run: how it starts, when it is ready, how it likes to be stopped."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the supervisor (or a test) needs to know to run one process."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    ready: Callable[[], Awaitable[bool]]
    popen: Mapping[str, Any] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
