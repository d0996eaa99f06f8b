"""`python tests/load latency`: how soon it is said that somebody entered a segment, and that a window let them go.

A whole pipeline (gateway, identity, profile, segments), the hundred segments of `crowd` and two about a marker, all
made through the API; then SECONDS of events at PERENNIAL_BENCH_RATE (1,000/s), as servers send them. One event in
ONE_IN is the first marker of a customer who is known by then. Entered counts from the gateway's answer, exited from
the instant at which the marker leaves its window, both to when a subscriber hears of it.
"""

import asyncio
import gc
import math
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import msgspec
import nats
import psutil
from nats.aio.client import Client
from nats.aio.msg import Msg

from perennial.common import packs
from perennial.common.contracts.segments import MembershipEntered, MembershipExited
from perennial.common.jobs import FIRST_SECONDS
from perennial.local.platform import Platform
from tests.load import crowd
from tests.load.events import CUSTOMERS, event

RATE = float(os.environ.get("PERENNIAL_BENCH_RATE", "1000"))
SECONDS, ONE_IN, CONNECTIONS = 30, 50, 16
WARM, WARM_RATE = 10 * CUSTOMERS, 1500  # ten events a customer, as in the crowd
SIZES = (20, 50)  # events in a batch
MARKED, WINDOW = "Marked", timedelta(seconds=5)
EVER: dict[str, Any] = {"event": MARKED}
LATELY: dict[str, Any] = {**EVER, "within": f"PT{WINDOW.seconds}S"}
AIM_ENTERED, AIM_EXITED = 1.0, 2.0
BUILT_SECONDS, GIVE_UP_SECONDS, LONGEST_JOBS = 120, 20, 15
_MARKERS = """
    SELECT properties ->> 'marker' AS marker, customer_id, extract(epoch FROM e.at)::float AS at,
           extract(epoch FROM i.at)::float AS taken
    FROM segments.event AS e JOIN segments.identity_map USING (via) JOIN segments.inbox AS i ON i.event_id = e.id
    WHERE name = $1"""
_SAID = """
    SELECT subject, headers, body, extract(epoch FROM created_at)::float AS begun FROM segments.outbox
    WHERE subject = ANY($1::text[])"""
_LEFT = """
    SELECT EXISTS (SELECT FROM {0}.outbox WHERE published_at IS NULL) OR EXISTS (SELECT FROM {0}.stale)
        OR EXISTS (SELECT FROM {0}.operation WHERE finished_at IS NULL)"""


class _Fact(msgspec.Struct):
    segment_id: UUID
    customer: UUID


class Marker(NamedTuple):
    """In seconds since 1970: the gateway's answer, the event, its batch in segments, the batch that computed it."""

    customer: UUID
    accepted: float
    at: float
    taken: float
    begun: float


class Subscriber:
    """When each membership was first said to have begun and to have ended, in seconds since 1970."""

    def __init__(self) -> None:
        self.entered: dict[tuple[UUID, UUID], float] = {}
        self.exited: dict[tuple[UUID, UUID], float] = {}

    async def follow(self, url: str) -> Client:
        """Listen from now on."""
        client = await nats.connect(url)
        for contract, heard in ((MembershipEntered, self.entered), (MembershipExited, self.exited)):

            async def hear(message: Msg, heard: dict[tuple[UUID, UUID], float] = heard) -> None:
                fact = msgspec.json.decode(message.data, type=_Fact)
                heard.setdefault((fact.segment_id, fact.customer), time.time())

            await client.subscribe(contract.subject, cb=hear)
        return client


class Sender:
    """Servers that send batches; each batch is stamped when it goes."""

    def __init__(self, platform: Platform) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        self.http = httpx.AsyncClient(base_url=platform.gateway_url, limits=limits, timeout=30)
        self._key = (platform.write_key, "")
        self._staff = {"Authorization": f"Bearer {platform.api_key}"}
        self.accepted: dict[str, float] = {}

    async def define(self, rules: Sequence[dict[str, Any]]) -> list[UUID]:
        """Segments by these rules, in their order, once all of them serve."""
        made = []
        async with asyncio.timeout(BUILT_SECONDS):
            for number, rule in enumerate(rules):
                body = {"name": f"latency {number}", "rule": rule}
                while (
                    answer := await self.http.post("/v1/segments", json=body, headers=self._staff)
                ).status_code == 422:
                    await asyncio.sleep(0.2)  # a trait is known once the first events have come through
                made.append(answer.raise_for_status().json()["id"])
            for identifier in made:
                while (await self.http.get(f"/v1/segments/{identifier}", headers=self._staff)).json()[
                    "state"
                ] != "live":
                    await asyncio.sleep(0.2)
        return [UUID(identifier) for identifier in made]

    async def run(self, mark: str, rate: float, total: int) -> float:
        """Send `total` events at this rate; returns how many a second were accepted. `mark` names them."""
        queue, started = _schedule(mark, rate, total), time.time()
        await asyncio.gather(*(self._send(mark, started, queue) for _ in range(CONNECTIONS)))
        return total / (time.time() - started)

    async def _send(self, mark: str, started: float, queue: Iterator[tuple[float, range]]) -> None:
        chance = random.Random()
        for due, numbers in queue:
            await asyncio.sleep(max(0.0, started + due - time.time()))
            events = [_event(mark, number, chance) for number in numbers]
            body = {"batch": events, "sentAt": datetime.now(UTC).isoformat()}
            while (answer := await self.http.post("/v1/batch", json=body, auth=self._key)).status_code == 503:
                await asyncio.sleep(0.2)
            answer.raise_for_status()
            now = time.time()
            self.accepted |= {said["userId"]: now for said in events if said.get("event") == MARKED}


def _schedule(mark: str, rate: float, total: int) -> Iterator[tuple[float, range]]:
    """When each batch is due, in seconds from the start, and the numbers of its events."""
    chance, done = random.Random(mark), 0
    while done < total:
        size = min(chance.randint(*SIZES), total - done)
        yield done / rate, range(done, done + size)
        done += size


def _event(mark: str, number: int, chance: random.Random) -> dict[str, Any]:
    """As shops send them, and in the run that is measured now and then a marker, of the next customer."""
    made = event(mark, number, chance)
    if mark == "warm" or number % ONE_IN != ONE_IN - 1:
        return made
    user = f"customer-{number // ONE_IN}"
    return {**made, "userId": user, "type": "track", "event": MARKED, "properties": {"marker": user}}


class Work:
    """Seconds of CPU of the platform by process, of this one, and of all that the machine does."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._started, self._begun = platform, time.perf_counter(), time.time()
        self._before, self._machine = self._spent(), psutil.cpu_times()

    def _spent(self) -> dict[str, float]:
        found = {"this bench": time.process_time()}
        for name, process in self._platform.processes().items():
            tree = [root := psutil.Process(process["pid"]), *root.children(recursive=True)]
            found[name] = sum(sum(part.cpu_times()[:2]) for part in tree)
        return found

    def report(self) -> None:
        """What was spent since the beginning, of how much there was."""
        cores, now, wall = psutil.cpu_count() or 1, psutil.cpu_times(), time.perf_counter() - self._started
        idle = sum(getattr(now, name, 0.0) - getattr(self._machine, name, 0.0) for name in ("idle", "iowait"))
        spent = {name: seconds - self._before.get(name, 0.0) for name, seconds in self._spent().items()}
        parts = ", ".join(f"{name} {s / wall:.2f}" for name, s in sorted(spent.items(), key=lambda item: -item[1]))
        print(f"  CPU: {sum(spent.values()) / wall:.2f} of {cores} cores ({parts})")
        print(f"  the machine as a whole was busy for {1 - idle / wall / cores:.0%}", flush=True)
        if any(self._begun - LONGEST_JOBS < first < time.time() for first in self._first_jobs()):
            print("  the first daily jobs fell into it (reconciliation, measuring, matching), as they do once a day")

    def _first_jobs(self) -> list[float]:
        """When each process, which has just been started, comes to what is done daily."""
        made = (psutil.Process(process["pid"]).create_time() for process in self._platform.processes().values())
        return [at + FIRST_SECONDS for at in made]


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    total, sender, subscriber = round(RATE * SECONDS), Sender(platform), Subscriber()
    if total // ONE_IN > CUSTOMERS:
        raise SystemExit(f"PERENNIAL_BENCH_RATE: at most {CUSTOMERS * ONE_IN // SECONDS}, so many can be marked")
    warmed = await sender.run("warm", WARM_RATE, WARM)
    print(f"latency: {crowd.SEGMENTS} segments and 2 of the marker, {WARM:,} events before at {warmed:,.0f}/s")
    rules = [*islice(crowd.rules(), crowd.SEGMENTS), EVER, LATELY]
    *_, ever, lately = await sender.define(rules)
    client = await subscriber.follow(platform.nats_url)
    database = await asyncpg.connect(platform.database_url)
    await _quiet(database)
    gc.collect()
    gc.freeze()  # whoever listens must not stop for half a second
    work = Work(platform)
    reached = await sender.run("run", RATE, total)
    print(f"  {total:,} events in batches of {SIZES[0]} to {SIZES[1]}, {reached:,.0f} accepted a second")
    work.report()
    await _settled(subscriber, lately, len(sender.accepted))
    rows, begun = await database.fetch(_MARKERS, MARKED), await _begun(database, ever)
    marked = [Marker(who, sender.accepted[name], at, taken, begun.get(who, math.nan)) for name, who, at, taken in rows]
    await asyncio.gather(database.close(), client.close(), sender.http.aclose())
    report(subscriber, ever, lately, marked, len(sender.accepted))


def report(subscriber: Subscriber, ever: UUID, lately: UUID, marked: Sequence[Marker], everybody: int) -> None:
    """What was heard of the markers, with the stages of entering."""
    told, inside = ({c: at for (s, c), at in subscriber.entered.items() if s == segment} for segment in (ever, lately))
    gone = {customer: at for (segment, customer), at in subscriber.exited.items() if segment == lately}
    print(f"  heard of {len(subscriber.entered):,} entries and {len(subscriber.exited):,} exits, of all segments")
    known = [one for one in marked if one.customer in told]
    _print("entered, after the 200", [told[one.customer] - one.accepted for one in known], everybody, AIM_ENTERED)
    _print("  until segments takes it up", [one.taken - one.accepted for one in known], everybody)
    _print("  then until it computes", [one.begun - one.taken for one in known], everybody)
    _print("  then until it is heard", [told[one.customer] - one.begun for one in known], everybody)
    waits = [inside[one.customer] - one.accepted for one in marked if one.customer in inside]
    _print(f"entered for {WINDOW.seconds} s, after the 200", waits, everybody, AIM_ENTERED)
    ends = [gone[one.customer] - one.at - WINDOW.total_seconds() for one in marked if one.customer in gone]
    _print("exited, after the instant", ends, everybody, AIM_EXITED)


async def _begun(database: asyncpg.Connection, segment: UUID) -> dict[UUID, float]:
    """When the transaction began that says of each that they entered."""
    found = {}
    for row in await database.fetch(_SAID, [MembershipEntered.subject, packs.SUBJECT]):
        for fact in packs.facts(row["subject"], row["headers"], row["body"]):
            if fact.subject == MembershipEntered.subject:
                entered = msgspec.json.decode(fact.body, type=_Fact)
                if entered.segment_id == segment:
                    found[entered.customer] = row["begun"]
    return found


async def _quiet(database: asyncpg.Connection) -> None:
    """Wait until nobody is still told or computed because of what was before."""
    async with asyncio.timeout(BUILT_SECONDS):
        while any([await database.fetchval(_LEFT.format(service)) for service in ("profile", "segments")]):
            await asyncio.sleep(0.5)


async def _settled(subscriber: Subscriber, segment: UUID, everybody: int) -> None:
    """Wait until all who were marked have left again, or until it is too late."""
    for _ in range(GIVE_UP_SECONDS):
        if sum(1 for found, _ in subscriber.exited if found == segment) >= everybody:
            return
        await asyncio.sleep(1)


def _print(name: str, waits: Sequence[float], everybody: int, aim: float | None = None) -> None:
    """One line."""
    if len(waits) < 2:
        print(f"  {name:<32}heard of {len(waits)} of {everybody}")
        return
    p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100, method="inclusive")[98]
    met = "" if aim is None else f"   p99 aim {aim:.0f} s{'' if p99 <= aim and len(waits) == everybody else ': MISSED'}"
    shown = f"p50 {p50:.2f} s, p99 {p99:.2f} s, most {max(waits):.2f} s"
    print(f"  {name:<32}{shown}   {len(waits)} of {everybody}{met}", flush=True)
