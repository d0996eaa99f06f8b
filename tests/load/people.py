"""An identity database full of people, the two ways of looking them up, and events of theirs."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.gateway import AcceptedEvent, EventsAccepted
from perennial.common.db import Database
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival
from perennial.identity.main import SERVICE
from perennial.identity.publisher import messages
from perennial.identity.settings import IdentitySettings, key_of, vault_of
from perennial.local.platform import Platform

IDENTIFIERS = int(os.environ.get("PERENNIAL_BENCH_IDENTIFIERS", "2000000"))
PULL, NEW = 1_000, 0.1
KEYS_AT_ONCE = 1_000

BARE = """
    DROP TABLE IF EXISTS public.bench_bare;
    CREATE TABLE public.bench_bare (digest bytea PRIMARY KEY, id uuid NOT NULL, seen timestamptz NOT NULL)"""
UPSERT = """
    INSERT INTO public.bench_bare (digest, id, seen)
    SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::timestamptz[])
    ON CONFLICT (digest) DO UPDATE SET seen = excluded.seen RETURNING id"""

_DECODER = msgspec.json.Decoder(EventsAccepted)


class Known(NamedTuple):
    """A customer that is there before: a user id and a browser."""

    user: str
    browser: str


def person(number: int) -> Known:
    return Known(f"user-{number}", f"browser-{number}")


class Bench:
    """One identity database, filled, and the two ways of looking people up."""

    def __init__(self, settings: IdentitySettings, database: Database, admin: asyncpg.Connection) -> None:
        self.settings = settings
        self.database = database
        self.admin = admin
        self.key = key_of("identifier_key", settings.identifier_key)
        self.decider = Decider(ServiceRuntime(SERVICE, settings, database, nats=None))  # type: ignore[arg-type]
        self._newcomers = 0
        self._seq = 0

    @classmethod
    async def open(cls, platform: Platform) -> "Bench":
        """By identity's own settings and login."""
        env = platform.environment_of("identity")
        os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})
        settings = IdentitySettings()  # type: ignore[call-arg]
        database = Database.connect(settings, "bench")
        return cls(settings, database, await asyncpg.connect(platform.database_url))

    async def close(self) -> None:
        """Disconnect."""
        await self.database.close()
        await self.admin.close()

    async def fill(self, count: int) -> None:
        """COPY of half as many customers as identifiers, sealed as if by events; and of the bare table."""
        await self.admin.execute(BARE)
        vault, at = vault_of(self.settings), datetime.now(UTC) - timedelta(days=1)
        for start in range(0, count // 2, 50_000):
            kept, mapped, bare = [], [], []
            for number in range(start, min(start + 50_000, count // 2)):
                customer = None
                for kind, value in zip(("user_id", "anonymous_id"), person(number), strict=True):
                    via, digest = uuid7(), blind_index(self.key, kind, value)
                    customer = customer or via
                    kept.append((via, kind, digest, vault.seal(value, digest), at))
                    mapped.append((via, customer, 1, kind, digest))
                    bare.append((digest, via, at))
            copy = self.admin.copy_records_to_table
            await copy("identifier", records=kept, schema_name="identity")
            columns = ["via", "customer_id", "version", "kind", "digest"]
            await copy("identity_map", records=mapped, columns=columns, schema_name="identity")
            await copy("bench_bare", records=bare, schema_name="public")
        await self.admin.execute("VACUUM ANALYZE")

    def events(self, count: int) -> list[AcceptedEvent]:
        """Two in three with user and browser, the others with the browser alone; one in ten bears a new browser."""
        chance = random.Random(self._newcomers)
        made = []
        for _ in range(count):
            known = person(chance.randrange(IDENTIFIERS // 2))
            body: dict[str, Any] = {"anonymousId": known.browser, "properties": {"filler": "x" * 300}}
            if chance.random() < NEW:
                self._newcomers += 1
                body["anonymousId"] = f"new-{self._newcomers}"
            if chance.random() < 2 / 3:
                body["userId"] = known.user
            made.append(self._event(body))
        return made

    def _event(self, body: dict[str, Any]) -> AcceptedEvent:
        raw, now = msgspec.Raw(msgspec.json.encode(body)), utc_now()
        return AcceptedEvent(str(uuid7()), "track", "Product Viewed", now, now, True, False, raw)

    def stored(self, events: Sequence[AcceptedEvent], each: int) -> list[bytes]:
        """The events as messages of INGEST."""
        encode = msgspec.json.encode
        return [encode(EventsAccepted("bench", list(events[n : n + each]))) for n in range(0, len(events), each)]

    async def decide(self, events: Sequence[AcceptedEvent], at_once: int) -> float:
        """Events per second, a transaction for each thousand."""
        pulls = iter(self.stored(events, PULL))
        started = time.perf_counter()
        await asyncio.gather(*(self._decide(pulls) for _ in range(at_once)))
        return len(events) / (time.perf_counter() - started)

    async def _decide(self, pulls: Iterator[bytes]) -> None:
        for pull in pulls:
            self._seq += 1
            resolved = await self.decider.decide(Arrival.of(_DECODER.decode(pull), self._seq))
            list(messages(resolved))

    async def somebody(self, name: str, events: int) -> UUID:
        """A new customer of so many events."""
        made = [self._event({"anonymousId": name}) for _ in range(events)]
        for start in range(0, events, PULL):
            self._seq += 1
            [*_, last] = await self.decider.decide(
                Arrival.of(EventsAccepted("bench", made[start : start + PULL]), self._seq)
            )
        return last.customer

    async def waiting(self, name: str, waits: list[float]) -> None:
        """Decide on one event after the other that adds a device to a customer, so that it needs the lock."""
        rival = Decider(ServiceRuntime(SERVICE, self.settings, self.database, nats=None))  # type: ignore[arg-type]
        for number in itertools.count():
            device = {"context": {"device": {"id": f"{name}-{number % 4}"}}}
            event = self._event({"anonymousId": name, **device})
            self._seq += 1
            started = time.perf_counter()
            await rival.decide(Arrival.of(EventsAccepted("bench", [event]), self._seq))
            waits.append(time.perf_counter() - started)

    async def upsert(self, events: Sequence[AcceptedEvent]) -> float:
        """Events per second, if a look-up of their keys were all there is to it."""
        digests = [digest for event in events for digest in self._keys(event)]
        now = datetime.now(UTC)
        seconds = 0.0
        for start in range(0, len(digests), KEYS_AT_ONCE):
            part = list(dict.fromkeys(digests[start : start + KEYS_AT_ONCE]))
            ids = [uuid7() for _ in part]
            started = time.perf_counter()
            await self.admin.fetch(UPSERT, part, ids, [now] * len(part))
            seconds += time.perf_counter() - started
        return len(events) / seconds

    def _keys(self, event: AcceptedEvent) -> list[bytes]:
        body = msgspec.json.decode(event.body)
        named = (("user_id", body.get("userId")), ("anonymous_id", body["anonymousId"]))
        return [blind_index(self.key, kind, value) for kind, value in named if value]
