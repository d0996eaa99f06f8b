"""The limit: COPY of the same events into one table with two indexes."""

import json
import time
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from tests.load.events import Batch

TABLE = """
    DROP TABLE IF EXISTS public.bench_copy;
    CREATE TABLE public.bench_copy (message_id text PRIMARY KEY, user_id text, at timestamptz, body jsonb);
    CREATE INDEX ON public.bench_copy (user_id, at)"""


class Copy:
    """One connection that copies."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "Copy":
        """Connect and make the table."""
        connection = await asyncpg.connect(url)
        await connection.execute(TABLE)
        return cls(connection)

    async def run(self, batches: Sequence[Batch]) -> float:
        """Events per second."""
        started = time.perf_counter()
        total = 0
        for chunk in (batches[start : start + 20] for start in range(0, len(batches), 20)):
            rows = [
                (event["messageId"], event["userId"], datetime.fromisoformat(event["timestamp"]), json.dumps(event))
                for batch in chunk
                for event in batch.events
            ]
            await self._connection.copy_records_to_table("bench_copy", records=rows, schema_name="public")
            total += len(rows)
        return total / (time.perf_counter() - started)

    async def close(self) -> None:
        """Drop the table."""
        await self._connection.execute("DROP TABLE public.bench_copy")
        await self._connection.close()
