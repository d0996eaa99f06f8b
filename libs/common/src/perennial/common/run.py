"""One process of one service: `python -m perennial.common.run [service] [--api] [--worker] --port N`.

An image holds one service: there its name may be left out.
"""

import argparse
import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from perennial.common import derive, firing, jobs, notify, outbox, service, telemetry
from perennial.common.messaging.worker import consumers
from perennial.common.operations import worker as operations
from perennial.common.privacy import worker as privacy
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.web.app import create_app
from perennial.common.web.protocol import Protocol

log = structlog.get_logger()

DRAIN_SECONDS = 20.0
GRACEFUL_SECONDS = 15
# Longer than proxies and SDKs keep a connection (60 s; Retry-After): who closes first cuts the other's next request.
KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """uvicorn that ticks once a second instead of ten times: eight idle processes should cost nothing."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal and wake the loop."""
        super().handle_exit(sig, frame)
        if hasattr(self, "_woken"):
            self._loop.call_soon_threadsafe(self._woken.set)

    async def main_loop(self) -> None:
        """Refresh the date header every second, leave at once on a signal."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), 1.0)


def build(found: Service, *, api: bool, worker: bool, settings: CommonSettings | None = None) -> FastAPI:
    """The application of a process, with the worker's loops in its lifespan."""
    chosen = settings or found.settings()  # type: ignore[call-arg]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runtime = await ServiceRuntime.open(found, chosen)
        runtime.works = worker
        app.state.runtime = runtime
        if found.startup is not None:
            await found.startup(runtime)
        tasks = start_worker(runtime) if worker else []
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        log.info("process.started", api=api, worker=worker)
        yield
        runtime.stopping.set()
        await drain(tasks)
        await runtime.close()
        await asyncio.to_thread(telemetry.flush)

    app = create_app(found, chosen, lifespan, api=api)
    if found.mount is None:  # the gateway makes its own spans: one for a batch, none that slow it down
        telemetry.trace_requests(app, chosen)
    return app


def start_worker(runtime: ServiceRuntime) -> list[asyncio.Task[None]]:
    """The loops of a worker: consumers, relay, derivation, timers, jobs."""
    found = runtime.service
    loops: list[Coroutine[Any, Any, None]] = [consumer.run() for consumer in consumers(runtime)]
    loops += [notify.listen(runtime, found.channels), outbox.relay(runtime), firing.loop(runtime)]
    loops += [operations.loop(runtime), privacy.loop(runtime), jobs.loops(runtime)]
    if found.derive is not None:
        loops.append(derive.loop(runtime, found.derive))
    loops += [task(runtime) for task in found.tasks]
    return [asyncio.create_task(_guarded(loop)) for loop in loops]


async def _guarded(loop: Coroutine[Any, Any, None]) -> None:
    """A loop that ends by an error takes the process down: the supervisor starts it afresh."""
    try:
        await loop
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("loop.died")
        signal.raise_signal(signal.SIGTERM)


async def drain(tasks: list["asyncio.Task[None]"]) -> None:
    """Let the loops finish the batch in hand, commit and acknowledge; then cancel what is left."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run_job(found: Service, name: str) -> None:
    runtime = await ServiceRuntime.open(found, found.settings())  # type: ignore[call-arg]
    try:
        job = next((job for job in jobs.jobs_of(runtime) if job.name == name), None)
        if job is None:
            msg = f"{found.name} has no job {name!r}: {', '.join(job.name for job in jobs.jobs_of(runtime))}"
            raise SystemExit(msg)
        if not await jobs.run_once(runtime, job):
            raise SystemExit(f"{found.name}: another worker is running {name!r} right now")
    finally:
        await runtime.close()


def main() -> None:
    """Parse the command line and serve until a signal."""
    parser = argparse.ArgumentParser(description="Run one process of one service.")
    installed = service.names()
    alone = installed[0] if len(installed) == 1 else None
    parser.add_argument("service", choices=installed, nargs="?" if alone else None, default=alone)
    parser.add_argument("--api", action="store_true", help="serve the service's routes")
    parser.add_argument("--worker", action="store_true", help="consume, relay, fire timers, run jobs")
    parser.add_argument("--job", help="run this job once and exit")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    found = service.load(arguments.service)
    settings = found.settings()  # type: ignore[call-arg]
    telemetry.setup(found.name, settings)
    if arguments.job:
        asyncio.run(_run_job(found, arguments.job))
        return
    both = not arguments.api and not arguments.worker
    app = build(found, api=arguments.api or both, worker=arguments.worker or both, settings=settings)
    config = uvicorn.Config(
        app, arguments.host, arguments.port, loop="uvloop", http=Protocol, ws="none", lifespan="on", access_log=False,
        log_config=None, timeout_graceful_shutdown=GRACEFUL_SECONDS, server_header=False, proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    Server(config).run()


if __name__ == "__main__":
    main()
