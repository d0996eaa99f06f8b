"""`python tests/load relay`: how fast an outbox is published, as a ratio to the broker's own limit in the same run.

FACTS of segments (who has entered) are written by `emit`, as one batch of events says them (a hundred to a row) and as
single requests do (a row each); then a relay, in this process, runs until the broker has acknowledged and Postgres has
marked them all. The limits are the same messages from a raw socket into the same stream: as atomic batches of a
thousand, and each with an acknowledgement of its own. Everything takes turns; the stream is emptied in between.
"""

import asyncio
import gc
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from secrets import token_hex

import psutil
from nats.js.client import JetStreamContext
from sqlalchemy import text

from perennial.common import outbox
from perennial.common.contracts.segments import MembershipEntered
from perennial.common.db import Database
from perennial.common.events import Encoder
from perennial.common.ids import uuid7
from perennial.common.runtime import connect_nats
from perennial.common.service import ServiceRuntime
from perennial.local.platform import Platform
from perennial.segments.main import SERVICE
from tests.load.stream import Raw, command

FACTS = int(os.environ.get("PERENNIAL_BENCH_FACTS", "20000"))
ROUNDS, BATCH, IN_FLIGHT, FEW = 5, 1000, 500, 10
AIM = 0.4
NAMES = {"packed": "said many at a time", "plain": f"said {FEW} at a time"}
_DONE = text("SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)")


class Bench:
    """An outbox and its stream; the service itself stands still."""

    def __init__(self, platform: Platform, runtime: ServiceRuntime) -> None:
        self._runtime, self._database = runtime, runtime.database
        self._cpu = {name: psutil.Process(platform.processes()[name]["pid"]) for name in ("nats", "postgres")}
        self.segments = [uuid7() for _ in range(20)]
        self.spent: dict[str, dict[str, list[float]]] = {}

    def facts(self) -> list[MembershipEntered]:
        """New ones, of many customers."""
        now = datetime.now(UTC)
        return [
            MembershipEntered(occurred_at=now, segment_id=self.segments[number % 20], segment_name="bench",
                              customer=uuid7(), version=number)
            for number in range(FACTS)
        ]  # fmt: skip

    async def drain(self, name: str, at_once: int) -> float:
        """Facts a second, from an outbox that is full to one where all is marked."""
        facts = iter(self.facts())
        while said := list(islice(facts, at_once)):
            async with self._database.write() as session:
                await outbox.emit(session, *said)
        self._runtime.stopping.clear()
        before, started = self._now(), time.perf_counter()
        relay = asyncio.create_task(outbox.relay(self._runtime))
        async with self._database.read() as session:
            while not (await session.execute(_DONE)).scalar_one():
                await asyncio.sleep(0.02)
        rate = FACTS / (time.perf_counter() - started)
        for process, seconds in self._now().items():
            costs = self.spent.setdefault(name, {}).setdefault(process, [])
            costs.append((seconds - before[process]) / FACTS * 1e6)
        self._runtime.stopping.set()
        await relay
        return rate

    def _now(self) -> dict[str, float]:
        """CPU seconds so far."""
        found = {"relay": time.process_time()}
        for name, process in self._cpu.items():
            found[name] = sum(sum(each.cpu_times()[:2]) for each in [process, *process.children(recursive=True)])
        return found


def batches(facts: Sequence[MembershipEntered]) -> list[bytes]:
    """As atomic batches; each is one piece, of which the last message asks for an acknowledgement."""
    made = []
    for start in range(0, len(facts), BATCH):
        batch, part = token_hex(8), facts[start : start + BATCH]
        lines = [f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {at}\r\n" for at in range(1, len(part) + 1)]
        lines[-1] += "Nats-Batch-Commit: 1\r\n"
        asked = [*[""] * (len(part) - 1), "_INBOX.bench"]
        made.append(b"".join(map(_message, part, lines, asked)))
    return made


def _message(fact: MembershipEntered, lines: str = "", reply: str = "_INBOX.bench") -> bytes:
    head, body = Encoder()(fact)
    said = "".join(f"{name}: {value}\r\n" for name, value in json.loads(head).items())
    headers = f"NATS/1.0\r\n{said}Nats-Msg-Id: {fact.id}\r\n{lines}\r\n".encode()
    return command(fact.subject, headers, body, reply)


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    platform.stop_process("segments")
    env = platform.environment_of("segments")
    os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})
    database = Database.connect(SERVICE.settings(), "bench")  # type: ignore[call-arg]
    runtime = ServiceRuntime(
        SERVICE, database.info["settings"], database, await connect_nats(platform.nats_url, "bench")
    )
    bench, raw = Bench(platform, runtime), await Raw.open(platform.nats_url)
    gc.freeze()  # as every process of a service does
    gc.set_threshold(50_000, 20, 50)
    slices: dict[str, Callable[[], Awaitable[float]]] = {
        "atomic": lambda: _atomic(raw, bench.facts()),
        "async": lambda: raw.run([_message(fact) for fact in bench.facts()], IN_FLIGHT),
        "packed": lambda: bench.drain("packed", BATCH),
        "plain": lambda: bench.drain("plain", FEW),
    }
    rates: dict[str, list[float]] = {name: [] for name in slices}
    for _ in range(ROUNDS):
        for name, run in slices.items():
            rates[name].append(await run())
            await _empty(runtime.js)
    report(rates, bench.spent)
    raw.close()
    await runtime.close()


async def _atomic(raw: Raw, facts: Sequence[MembershipEntered]) -> float:
    made = batches(facts)
    return await raw.run(made, 1) * FACTS / len(made)


async def _empty(js: JetStreamContext) -> None:
    await js.purge_stream(SERVICE.stream)


def report(rates: dict[str, list[float]], spent: dict[str, dict[str, list[float]]]) -> None:
    """One block of figures."""
    middle = {name: statistics.median(found) for name, found in rates.items()}
    print(f"relay: {ROUNDS} rounds of {FACTS:,} facts")
    print(f"  limit: raw atomic batches    {middle['atomic']:>9,.0f} facts/s")
    print(f"  raw, {IN_FLIGHT} in flight           {middle['async']:>9,.0f} facts/s")
    for name, shown in NAMES.items():
        ratio = statistics.median(made / limit for made, limit in zip(rates[name], rates["atomic"], strict=True))
        costs = ", ".join(f"{process} {statistics.median(found):.0f}" for process, found in spent[name].items())
        aim = f", aim {AIM}" if name == "packed" else ""
        print(f"  an outbox, {shown:<18}{middle[name]:>9,.0f} facts/s   {ratio:.2f} x atomic batches{aim}")
        print(f"    CPU a fact, in µs: {costs}")
