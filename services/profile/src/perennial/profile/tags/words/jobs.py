"""Listen for as long as the worker lives."""

import asyncio

import structlog

from perennial.common import notify
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.profile.tags.words import service

log = structlog.get_logger()

IDLE_SECONDS = 30.0


async def listen(runtime: Runtime) -> None:
    """Analyse texts as they come; a batch that fails is tried again after a pause."""
    while not runtime.stopping.is_set():
        runtime.beats[service.WORDS] = asyncio.get_running_loop().time()
        try:
            async with runtime.database.write() as session:
                heard = await service.hear(session)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("words.waiting", error=repr(error))
            else:
                log.exception("words.failed")
            await runtime.pause(2)
            continue
        if not heard:
            await notify.wait(runtime, service.WORDS, IDLE_SECONDS)
