"""After a new key was put first on the ring: seal everything again by it, while the service runs."""

from datetime import timedelta
from typing import cast

import structlog

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.identity.sealing import queries
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.vault import Vault

log = structlog.get_logger()


async def reseal(runtime: Runtime) -> None:
    """Seal by the current key what earlier ones have sealed; once the log counts one key, the others may go."""
    vault = vault_of(cast("IdentitySettings", runtime.settings))
    for table in queries.TABLES:
        await _reseal(runtime, vault, table)
    async with runtime.database.read() as session:
        log.info("identifiers.sealed", current=vault.current, by_key=await queries.counts(session))


async def _reseal(runtime: Runtime, vault: Vault, table: queries.Table) -> None:
    after = queries.NONE
    while not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            olds = await queries.old(session, table, vault.current, after)
            if not olds:
                return
            news = [vault.again(one.sealed, one.bound) for one in olds]
            await queries.replace(session, table, olds, news)
        after = (olds[-1].id, olds[-1].field)


RESEAL = Job("reseal", timedelta(days=1), reseal)
