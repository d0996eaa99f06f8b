"""Violations on their way into Postgres: in groups, bounded in memory, and waiting there while Postgres is away."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import groupby

import structlog
from opentelemetry import metrics

from perennial.common.db import Database, WriteSession, lock
from perennial.common.failures import is_infrastructure
from perennial.gateway.tracking.refusal import REJECTED
from perennial.gateway.violations import queries
from perennial.gateway.violations.queries import Said
from perennial.gateway.violations.records import Broken

log = structlog.get_logger()
unkept = metrics.get_meter("perennial").create_counter(
    "perennial.violations.unkept", description="Violations that are counted, but whose events are not kept, by reason."
)
uncounted = metrics.get_meter("perennial").create_counter(
    "perennial.violations.lost", description="Violations that were neither kept nor counted."
)

ROWS_AT_ONCE = 500
COUNTS = 10_000
NAMES_PER_DAY = 1_000
WAIT_SECONDS = 2.0
RETRY_SECONDS = 1.0
Counted = tuple[str, date, Said]
Slot = tuple[str, bool, datetime]


class Keeper:
    """Keeps so many events of a source and hour, and counts all.

    What a plan let pass has bounds of its own: it must not crowd out what was rejected and can be replayed.
    """

    def __init__(self, database: Database, *, rows_per_hour: int, bytes_per_hour: int, spool_bytes: int) -> None:
        self._database = database
        self._rows_per_hour = rows_per_hour
        self._bytes_per_hour = bytes_per_hour
        self._spool_bytes = spool_bytes
        self._rows: deque[Broken] = deque()
        self._bytes = 0
        self._counts: Counter[Counted] = Counter()
        self._full: dict[tuple[str, bool], datetime] = {}
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._written: asyncio.Future[None] | None = None
        self._away = False

    async def keep(self, records: Sequence[Broken]) -> None:
        """Take violations in. Returns when they are stored, or soon: nobody's answer waits for an absent Postgres."""
        for record in records:
            self._count(record)
            self._spool(record)
        self._wake.set()
        if not self._away:
            if self._written is None:
                self._written = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._written}, timeout=WAIT_SECONDS)

    async def run(self) -> None:
        """Write whatever comes in, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            # A write that has begun is finished, also when the process is asked to stop meanwhile.
            if not await asyncio.shield(asyncio.ensure_future(self.flush())):
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def close(self) -> None:
        """Write what is left; what Postgres does not take now is lost, and said to be."""
        await self.flush()
        if self._counts or self._rows:
            uncounted.add(self._counts.total())
            log.error("violations.lost", events=self._counts.total(), kept=len(self._rows))

    async def flush(self) -> bool:
        """Write everything that waits. False while Postgres is away: it goes on waiting."""
        async with self._flushing:
            written, self._written = self._written, None
            try:
                return await self._flush()
            finally:
                if written is not None and not written.done():
                    written.set_result(None)

    async def _flush(self) -> bool:
        tries = 1 if self._away else 2  # the first connection may be one that a restart of Postgres has cut
        while self._counts or self._rows:
            rows = [self._rows.popleft() for _ in range(min(ROWS_AT_ONCE, len(self._rows)))]
            counts, self._counts = self._counts, Counter()
            size = sum(row.size for row in rows)
            try:
                await self._write(rows, counts)
            except Exception as error:
                if not is_infrastructure(error):
                    self._bytes -= size
                    uncounted.add(counts.total())
                    log.exception("violations.lost", events=counts.total(), codes=sorted({row.code for row in rows}))
                    continue
                self._rows.extendleft(reversed(rows))
                self._counts.update(counts)
                tries -= 1
                if not tries:
                    self._away = True
                    log.warning("violations.waiting", events=self._counts.total(), error=repr(error))
                    return False
            else:
                self._bytes -= size
        self._away = False
        return True

    async def _write(self, rows: list[Broken], counts: Counter[Counted]) -> None:
        async with self._database.write() as session:
            for source_id in sorted({source_id for source_id, _, _ in counts} | {row.source_id for row in rows}):
                await lock(session, "gateway", "violations", source_id)
            for slot, group in groupby(sorted(rows, key=_slot), key=_slot):
                await self._keep(session, slot, list(group))
            for (source_id, day), said in _by_day(counts).items():
                await _add(session, source_id, day, said)

    async def _keep(self, session: WriteSession, slot: Slot, rows: list[Broken]) -> None:
        source_id, rejected, hour = slot
        held, size = await queries.kept(session, source_id, hour, rejected=rejected)
        room = self._fitting(rows, held, size)
        await queries.keep(session, rows[:room])
        if room < len(rows):
            self._full[source_id, rejected] = hour
            unkept.add(len(rows) - room, {"reason": "hour_full"})

    def _fitting(self, rows: list[Broken], held: int, size: int) -> int:
        for index, row in enumerate(rows):
            if held + index >= self._rows_per_hour or size >= self._bytes_per_hour:
                return index
            size += row.stored
        return len(rows)

    def _count(self, record: Broken) -> None:
        key = (record.source_id, record.at.date(), (record.code, record.outcome, record.name or ""))
        if key not in self._counts and len(self._counts) >= COUNTS:
            key = (record.source_id, record.at.date(), (record.code, record.outcome, ""))
        self._counts[key] += 1

    def _spool(self, record: Broken) -> None:
        source_id, rejected, hour = _slot(record)
        if self._full.get((source_id, rejected)) == hour:
            unkept.add(1, {"reason": "hour_full"})
        elif self._bytes + record.size > self._spool_bytes:
            unkept.add(1, {"reason": "spool_full"})
        else:
            self._bytes += record.size
            self._rows.append(record)


def _slot(record: Broken) -> Slot:
    return record.source_id, record.outcome == REJECTED, record.at.replace(minute=0, second=0, microsecond=0)


def _by_day(counts: Counter[Counted]) -> dict[tuple[str, date], Counter[Said]]:
    days: dict[tuple[str, date], Counter[Said]] = {}
    for (source_id, day, said), count in counts.items():
        days.setdefault((source_id, day), Counter())[said] += count
    return days


async def _add(session: WriteSession, source_id: str, day: date, counts: Counter[Said]) -> None:
    """Add to a day's counts. Names beyond the first thousand of a day are counted without their name."""
    known = await queries.add_counts(session, source_id, day, counts)
    unknown = {said: count for said, count in counts.items() if said not in known}
    if not unknown:
        return
    room = max(0, NAMES_PER_DAY - await queries.names_of_day(session, source_id, day))
    named, crowded = _parted(unknown.items(), room)
    if crowded:
        old = await queries.add_counts(session, source_id, day, crowded)
        named.update({said: count for said, count in crowded.items() if said not in old})
    if named:
        await queries.new_counts(session, source_id, day, named)


def _parted(unknown: Iterable[tuple[Said, int]], room: int) -> tuple[Counter[Said], Counter[Said]]:
    named: Counter[Said] = Counter()
    crowded: Counter[Said] = Counter()
    for (code, outcome, name), count in unknown:
        if len(named) < room:
            named[code, outcome, name] += count
        else:
            crowded[code, outcome, ""] += count
    return named, crowded
