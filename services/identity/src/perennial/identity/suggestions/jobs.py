"""Looking for probable duplicates, once a day, in a process of its own: training takes a core and a gigabyte."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import cast
from uuid import UUID

import structlog

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.identity.decider import keys_of
from perennial.identity.settings import IdentitySettings
from perennial.identity.suggestions import queries, service
from perennial.identity.suggestions.pairs import FEWEST, Pair, Record

log = structlog.get_logger()


async def suggest(runtime: Runtime) -> None:
    """Queue today's probable duplicates for a person; those that were decided are left alone."""
    vault = keys_of(cast("IdentitySettings", runtime.settings)).vault
    async with runtime.database.read() as session:
        records = await service.records(session, vault)
    if len(records) < FEWEST:
        log.info("suggestions.too_few", customers=len(records), needed=FEWEST)
        return
    pairs = await _matched(records)
    async with runtime.database.write() as session:
        decided = await queries.decided(session)
        open_pairs = [pair for pair in pairs if (UUID(pair.low), UUID(pair.high)) not in decided]
        await queries.suggest(session, open_pairs)
    log.info(
        "suggestions.made", customers=len(records), pairs=len(open_pairs),
        left_out=max(0, len(open_pairs) - queries.MOST_PENDING),
    )  # fmt: skip


def _match(records: Sequence[Record]) -> list[Pair]:
    from perennial.identity.suggestions.matching import match  # noqa: PLC0415 (in the child only: it is large)

    return match(records)


async def _matched(records: Sequence[Record]) -> list[Pair]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _match, records)


SUGGEST = Job("suggest-duplicates", timedelta(days=1), suggest)
