"""Looking for probable duplicates, once a day, in a process of its own: it holds everybody's records, for minutes."""

import asyncio
import multiprocessing
from datetime import timedelta
from typing import cast

import structlog

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.identity.settings import IdentitySettings
from perennial.identity.suggestions import queries
from perennial.identity.suggestions.child import search
from perennial.identity.suggestions.pairs import FEWEST, Found

log = structlog.get_logger()


async def suggest(runtime: Runtime) -> None:
    """Queue today's probable duplicates for a person; those that were decided are left alone.

    Raises RuntimeError when the process that looks for them died; nothing has changed then.
    """
    found = await _searched(cast("IdentitySettings", runtime.settings))
    if found.customers < FEWEST:
        log.info("suggestions.too_few", customers=found.customers, needed=FEWEST)
        return
    async with runtime.database.write() as session:
        open_pairs = await queries.undecided(session, found.best)
        await queries.suggest(session, open_pairs)
    log.info(
        "suggestions.made", customers=found.customers, pairs=len(open_pairs),
        left_out=found.pairs - len(found.best),
    )  # fmt: skip


async def _searched(settings: IdentitySettings) -> Found:
    """What the child found: at most as many pairs as are queued. It is killed when nobody waits for it any more."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=search, args=(settings, sending), name="suggestions", daemon=True)
    child.start()
    sending.close()  # the child's is the only one: when it dies, this end says so
    try:
        return cast("Found", await asyncio.to_thread(receiving.recv))
    except EOFError as error:
        await asyncio.to_thread(child.join)
        msg = f"looking for duplicates ended with exit code {child.exitcode}"
        raise RuntimeError(msg) from error
    finally:
        child.kill()


SUGGEST = Job("suggest-duplicates", timedelta(days=1), suggest)
