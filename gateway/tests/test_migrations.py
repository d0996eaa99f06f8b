"""Models and migrations say the same."""

import asyncio
from types import SimpleNamespace

from perennial.common.db import migrations
from perennial.gateway.main import SERVICE


async def test_no_difference(database_urls: SimpleNamespace) -> None:
    await asyncio.to_thread(migrations.check, SERVICE.migrations, database_urls.owner)
