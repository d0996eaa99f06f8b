"""`python tests/load search`: lists and searches among so many customers, as the route does them; p50 and p99 in ms.

PERENNIAL_BENCH_CUSTOMERS is how many (1,000,000, of which the aim speaks). They are written by COPY straight into the
rows that events would have made: one in three has a Chinese name. Every query runs with other words each time, the
kinds in turns.
"""

import functools
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import text

from perennial.common import rules
from perennial.common.auth import Principal
from perennial.common.db import Database
from perennial.local.platform import Platform
from perennial.profile.search import indexing, service, words
from perennial.profile.search.filters import Wanted
from perennial.profile.search.service import Asked
from perennial.profile.search.words import Form
from perennial.profile.settings import ProfileSettings

CUSTOMERS = int(os.environ.get("PERENNIAL_BENCH_CUSTOMERS", "1000000"))
ROUNDS, AIM, PAGE, AT_ONCE = 25, 300, 50, 20_000
STAFF = Principal("staff", "bench", frozenset({"*"}), fields=frozenset({"*"}))
SEGMENT = UUID(int=7)
_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉萍红玲芬燕彬凤洁梅琳素云莲真环雪荣爱妹香月莺媛瑞凡佳"
_FIRST = "Ada Bob Cora Dan Eva Finn Gwen Hugo Ines Jack Kira Liam Mona Noah Olga Paul Quin Rosa Sven Tara Uma Vera Will"
_SOUNDS = (
    "al", "an", "ber", "car", "den", "el", "fer", "gar", "han", "is", "jor", "kel", "lan", "mar", "nor", "ol", "per",
    "quin", "ros", "sten", "tor", "ul", "ver", "win", "yor", "zel",
)  # fmt: skip
_CITIES = [f"City {number}" for number in range(300)]
_NOW = datetime(2026, 11, 1, tzinfo=UTC)
Call = Callable[[random.Random], Asked]


def _name(chance: random.Random) -> str:
    if chance.random() < 1 / 3:
        return chance.choice(_FAMILY) + "".join(chance.choice(_GIVEN) for _ in range(chance.choice((1, 2, 2))))
    last = "".join(chance.choice(_SOUNDS) for _ in range(chance.choice((2, 3))))
    return f"{chance.choice(_FIRST.split())} {last.title()}"


def _people(chance: random.Random, count: int) -> Iterator[tuple[UUID, dict[str, Any]]]:
    for number in range(count):
        yield (
            UUID(int=(number << 64) + chance.getrandbits(62)),
            {
                "name": _name(chance),
                "city": chance.choice(_CITIES),
                "plan": "free" if chance.random() < 0.9 else "pro",
                "age": chance.randrange(18, 90),
            },
        )


class Told(NamedTuple):
    """What is kept of a name."""

    names: str
    sorts: str
    forms: list[Form]


@functools.lru_cache(300_000)
def _told(name: str) -> Told:
    said = {"name": name}
    return Told(json.dumps(said, ensure_ascii=False), words.sort_name(said), indexing.once(said))


async def fill(connection: asyncpg.Connection) -> None:
    """Every table that a list reads."""
    chance, people = random.Random(1), _people(random.Random(2), CUSTOMERS)
    made = 0
    while made < CUSTOMERS:
        some = [next(people) for _ in range(min(AT_ONCE, CUSTOMERS - made))]
        made += len(some)
        ids, told = [i for i, _ in some], [_told(traits["name"]) for _, traits in some]
        await _copy(connection, "identity_map", ("via", "customer_id", "version"), ((i, i, 1) for i, _ in some))
        seen = [_NOW - timedelta(seconds=chance.randrange(1, 60_000_000)) for _ in some]
        columns = ("customer_id", "traits", "computed", "tags", "stage", "first_seen", "last_seen", "events")
        await _copy(connection, "customer", columns, (
            (i, json.dumps(traits, ensure_ascii=False), json.dumps({"gmv": chance.randrange(10**5)}),
             ["all", f"tag{chance.randrange(500)}"], chance.choice(("newcomer", "growing", "mature")), at, at, 5)
            for (i, traits), at in zip(some, seen, strict=True)
        ))  # fmt: skip
        await _copy(connection, "customer_order", ("customer_id", "names", "name", "first_seen", "last_seen"), (
            (i, said.names, said.sorts, at, at) for i, said, at in zip(ids, told, seen, strict=True)
        ))  # fmt: skip
        forms = ((i, *form) for i, said in zip(ids, told, strict=True) for form in said.forms)
        await _copy(connection, "customer_name", ("customer_id", "key", "form", "words"), forms)
        members = ((i, SEGMENT, "S", True, _NOW, 1) for i, _ in some if chance.random() < 0.05)
        named = ("customer_id", "segment_id", "segment_name", "member", "since", "version")
        await _copy(connection, "membership", named, members)


async def _copy(connection: asyncpg.Connection, table: str, columns: tuple[str, ...], rows: Any) -> None:
    await connection.copy_records_to_table(table, schema_name="profile", columns=columns, records=rows)


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    platform.stop_process("profile")
    owner = await asyncpg.connect(platform.database_url)
    await owner.execute("SET search_path = profile, extensions")
    started = time.perf_counter()
    indexes = [row["indexdef"] for row in await owner.fetch(_INDEXES)]
    for row in await owner.fetch(_INDEXES):
        await owner.execute(f"DROP INDEX profile.{row['indexname']}")
    await fill(owner)
    filled = time.perf_counter() - started
    await owner.execute("SET maintenance_work_mem = '512MB'")
    for index in indexes:
        await owner.execute(index)
    for table in ("customer", "customer_order", "customer_name", "membership", "identity_map"):
        await owner.execute(f"VACUUM ANALYZE profile.{table}")
    size = await owner.fetchval(_SIZE)
    spent = time.perf_counter() - started
    print(f"search: {CUSTOMERS:,} customers, written in {filled:.0f} s, with indexes {spent:.0f} s, {size}")
    database = Database.connect(ProfileSettings.model_validate(_settings(platform)), "bench")
    await _queries(database)
    await database.close()
    await owner.close()


_SIZE = """
    SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'profile'::regnamespace"""
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'profile' AND indexname LIKE 'ix_%'
      AND tablename IN ('customer', 'customer_order', 'customer_name', 'membership')"""


def _settings(platform: Platform) -> dict[str, str]:
    given = platform.environment_of("profile")
    ours = (key for key in given if key.startswith("PERENNIAL_"))
    return {key.removeprefix("PERENNIAL_").lower(): given[key] for key in ours}


def _rule(document: Any) -> Wanted:
    return Wanted(rule=rules.parse(document))


KINDS: dict[str, Call] = {
    "the first page": lambda _: Asked(),
    "one letter": lambda chance: Asked(q=chance.choice("abcdefghijklmnorstvwyz")),
    "two letters": lambda chance: Asked(q=chance.choice(_SOUNDS)[:2]),
    "a beginning": lambda chance: Asked(q=_name(chance)[:5]),
    "a whole name": lambda chance: Asked(q=_name(chance)),
    "a misspelt name": lambda chance: Asked(q=_misspelt(chance)),
    "a Chinese family name": lambda chance: Asked(q=chance.choice(_FAMILY)),
    "a Chinese name": lambda chance: Asked(q=chance.choice(_FAMILY) + chance.choice(_GIVEN)),
    "pinyin": lambda chance: Asked(q="".join(next(iter(words.spoken([chance.choice(_FAMILY)]))))),
    "initials": lambda chance: Asked(q="".join(chance.choice("lwzcyh") for _ in range(3))),
    "nobody's name": lambda chance: Asked(q=f"xq{chance.randrange(999)}v"),
    "an e-mail address": lambda chance: Asked(q=f"a{chance.randrange(999)}@example.com"),
    "a tag": lambda chance: Asked(Wanted(tags=(f"tag{chance.randrange(500)}",))),
    "everybody's tag": lambda _: Asked(Wanted(tags=("all",))),
    "a tag, by name": lambda chance: Asked(Wanted(tags=(f"tag{chance.randrange(500)}",)), sort="name"),
    "a tag, by a computed trait": lambda chance: Asked(Wanted((f"tag{chance.randrange(500)}",)), sort="-trait.gmv"),
    "a city, by age": lambda chance: Asked(_rule({"trait": "city", "is": chance.choice(_CITIES)}), sort="trait.age"),
    "a city and a name": lambda chance: Asked(_rule({"trait": "city", "is": chance.choice(_CITIES)}), q="z"),
    "a stage, seen last": lambda _: Asked(Wanted(stages=("mature",)), sort="-last_seen"),
    "a segment, by name": lambda _: Asked(Wanted(segment=SEGMENT), sort="name"),
    "numbers, most hold": lambda _: Asked(_rule({"trait": "age", "gte": 30}), sort="-last_seen"),
    "numbers, nobody holds": lambda _: Asked(_rule({"trait": "age", "gt": 200}), sort="name"),
    "a rule of many": lambda _: Asked(_rule({"any": [{"trait": "plan", "is": "pro"}, {"trait": "gmv", "gt": 99_000}]})),
}


def _misspelt(chance: random.Random) -> str:
    name = _name(chance)
    while len(name) < 6:
        name = _name(chance)
    at = chance.randrange(2, len(name) - 1)
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


async def _queries(database: Database) -> None:
    chance = random.Random(3)
    times: dict[str, list[float]] = {name: [] for name in (*KINDS, "a deep page")}
    deep = await _deep(database)
    for number in range(ROUNDS + 2):
        for name, make in KINDS.items():
            spent = await _timed(database, make(chance), [])
            times[name] += [spent] if number > 1 else []
        times["a deep page"] += [await _timed(database, Asked(sort="name"), deep)] if number > 1 else []
    for name, found in times.items():
        print(f"  {name:<28} p50 {statistics.median(found):7.1f} ms   p99 {_p99(found):7.1f} ms")
    all_of = [spent for found in times.values() for spent in found]
    print(f"  {'all of them':<28} p50 {statistics.median(all_of):7.1f} ms   p99 {_p99(all_of):7.1f} ms   aim {AIM} ms")


async def _timed(database: Database, asked: Asked, cursor: list[object]) -> float:
    started = time.perf_counter()
    async with database.read() as session:
        found = await service.search(session, STAFF, asked, PAGE, cursor)
        await service.items(session, found.ids)
    return (time.perf_counter() - started) * 1e3


async def _deep(database: Database) -> list[object]:
    """A cursor in the middle of all names."""
    async with database.read() as session:
        row = (await session.execute(text(
            "SELECT name, customer_id::text FROM customer_order ORDER BY name OFFSET :n LIMIT 1"), {"n": CUSTOMERS // 2}
        )).one()  # fmt: skip
    return ["name", 0, *row]


def _p99(found: list[float]) -> float:
    return statistics.quantiles(found, n=100, method="inclusive")[98]
