"""What a service says about itself: one `SERVICE` object in its `main.py`, found by entry point."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData

from perennial.common.contracts.base import Event
from perennial.common.derive import Derivation
from perennial.common.identity_map import MapChange
from perennial.common.messaging.parked import ParkedRow
from perennial.common.messaging.reactions import Reaction
from perennial.common.operations.steps import OperationHandler
from perennial.common.preview import Preview
from perennial.common.privacy import Privacy
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.common.timers import TimerHandler
from perennial.common.web.plain import Plain

GROUP = "perennial.services"


@dataclass(frozen=True)
class Job:
    """Time-driven work. Runs in one worker, `every` after it last began, and by `run <service> --job <name>`."""

    name: str
    every: timedelta
    run: "Callable[[ServiceRuntime], Awaitable[None]]"


@dataclass(frozen=True)
class Service:
    """The parts that common assembles into an API and a worker.

    `plain` are shorter ways of some of the routers' routes. `map_changed` is called, in the transaction that learnt
    it, with each change of the identifier map.
    `parked` and `replay` are for a service that keeps its parked events in a way of its own: they list some of them
    from an id on, and handle some again. `derive` recomputes what is shown per customer, `preview` says what that
    would be after a change of the map, `privacy` what is held about persons. `operations` are its long-running work by
    kind, and need tables of their own (`add_operation_tables`). `tasks` run as long as the worker does, and `channels`
    are what they wait for with `notify.wait`. `mount` adds what is not a router (the gateway's tracking routes).
    """

    name: str
    title: str
    metadata: MetaData
    settings: type[CommonSettings] = CommonSettings
    routers: Sequence[APIRouter] = ()
    plain: Sequence[Plain] = ()
    reactions: Sequence[Reaction[Any]] = ()
    emits: Sequence[type[Event]] = ()
    keeps_map: bool = True
    map_changed: Callable[[Any, list[MapChange]], Awaitable[None]] | None = None
    derive: Derivation | None = None
    preview: Preview | None = None
    privacy: Privacy | None = None
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    operations: Mapping[str, OperationHandler] = field(default_factory=dict)
    jobs: Sequence[Job] = ()
    channels: Sequence[str] = ()
    tasks: "Sequence[Callable[[ServiceRuntime], Coroutine[Any, Any, None]]]" = ()
    mount: Callable[[FastAPI], None] | None = None
    startup: "Callable[[ServiceRuntime], Awaitable[None]] | None" = None
    parked: "Callable[[ServiceRuntime, int], Awaitable[list[ParkedRow]]] | None" = None
    replay: "Callable[[ServiceRuntime, Sequence[int]], Awaitable[int]] | None" = None

    @property
    def migrations(self) -> str:
        """The package of its Alembic migrations."""
        return f"perennial.{self.name}.migrations"

    @property
    def stream(self) -> str:
        """The stream of its facts."""
        return self.name.upper()


@dataclass
class ServiceRuntime(Runtime):
    """The handles of a process, for the loops that run what the service says about itself."""

    service: Service


def names() -> list[str]:
    """The services installed here, in the order in which they may start."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load(name: str) -> Service:
    """The service of that name. Raises LookupError when it is not installed."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            loaded = point.load()
            if not isinstance(loaded, Service):
                msg = f"{point.value} is not a Service"
                raise TypeError(msg)
            return loaded
    msg = f"no service named {name!r} is installed; there are {', '.join(names())}"
    raise LookupError(msg)
