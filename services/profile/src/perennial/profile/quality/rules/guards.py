"""The hook: what rules do with values on their way in. Nothing that is stored already is touched here.

A guard judges by a baseline that a job has made, so one batch costs no more than comparisons; only values that should
be unique are looked up, set-based.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from perennial.common import identity_map
from perennial.common.db import ReadSession, WriteSession, lock, settings_of
from perennial.common.identifiers import blind_index
from perennial.common.rules.values import scalars
from perennial.profile.quality.findings import records
from perennial.profile.quality.findings.records import Finding
from perennial.profile.quality.rules import queries
from perennial.profile.quality.rules.scales import PLAIN, Scale
from perennial.profile.traits.queries import Said

PLAINLY = Scale()
_STRENGTH = ("quarantine", "null", "clip", "flag")
OK = "ok"


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule as values are held against it; `low` and `high` on their `scale` are a rule's on outliers.

    One that is not `ready` does not know yet what others have said before.
    """

    rule: UUID
    kind: str
    action: str
    key: str
    source: str | None
    low: Decimal | None = None
    high: Decimal | None = None
    scale: Scale = PLAINLY
    ready: bool = True

    def meant(self, source: str) -> bool:
        """Whether it is about what this source says."""
        return self.source is None or self.source == source

    def usual(self, value: Decimal) -> Decimal:
        """The nearest usual value."""
        assert self.low is not None  # noqa: S101 (of a rule on outliers)
        assert self.high is not None  # noqa: S101
        return min(max(value, self.low), self.high)

    def finding(self, said: Said, taken: Said | None, first: str | None = None) -> Finding:
        """What it made of a statement; `first` as `records.stated` tells it."""
        at, source, message_id = said.stamp
        value = taken.value if taken is not None else None
        return Finding(
            self.rule, self.kind, self.action, said.key, source, said.via, said.value, value, at, message_id, first
        )


@dataclass(frozen=True)
class Guards:
    """The rules that act on values, by trait: the strongest action first."""

    revision: str
    outliers: Mapping[str, Sequence[Guard]]
    duplicates: Mapping[str, Sequence[Guard]]

    @functools.cached_property
    def keys(self) -> frozenset[str]:
        """The traits that any rule is on."""
        return frozenset({*self.outliers, *self.duplicates})


NOBODY = Guards("", MappingProxyType({}), MappingProxyType({}))
_KNOWN: dict[str, Guards] = {"": NOBODY}


async def in_force(session: ReadSession) -> Guards:
    """The rules of now, read once for each revision of them."""
    revision = await queries.revision(session)
    found = _KNOWN.get(revision)
    if found is None:
        found = guarding(revision, await queries.every(session))
        _KNOWN.clear()
        _KNOWN.update({"": NOBODY, revision: found})
    return found


def guarding(revision: str, rows: Iterable[Mapping[str, Any]]) -> Guards:
    """Rules as guards; one on outliers acts as soon as it has a baseline, one on duplicates when all is indexed."""
    held: dict[str, dict[str, list[Guard]]] = {"outlier": {}, "duplicate": {}}
    for row in rows:
        said = row["definition"]
        if said["kind"] not in held or (said["kind"] == "outlier" and row["low"] is None):
            continue
        guard = Guard(
            row["id"], said["kind"], said["action"], said["key"], said.get("source"), row["low"], row["high"],
            Scale(row["scale"] or PLAIN, row["unit"]), said["kind"] == "outlier" or row["ready"],
        )  # fmt: skip
        held[said["kind"]].setdefault(said["key"], []).append(guard)
    for guards in (guards for kind in held.values() for guards in kind.values()):
        guards.sort(key=lambda guard: _STRENGTH.index(guard.action))
    return Guards(revision, held["outlier"], held["duplicate"])


@dataclass(slots=True)
class Watch:
    """What the rules made of one batch: findings, and values that wait for a look at what others say."""

    guards: Guards = NOBODY
    findings: list[Finding] = field(default_factory=list)
    waiting: list[tuple[str, Said]] = field(default_factory=list)

    def judge(self, said: Said) -> tuple[str, Said | None, bool]:
        """The outcome, the statement as it is taken, if it is, and whether it waits for `settle` to say so."""
        outcome, taken = self._outlying(said) if said.key in self.guards.outliers else (OK, said)
        if taken is not None and taken.key in self.guards.duplicates:
            self.waiting.append((outcome, taken))
            return outcome, None, True
        return outcome, taken, False

    def _outlying(self, said: Said) -> tuple[str, Said | None]:
        for guard in self.guards.outliers[said.key]:
            value = guard.scale.number(said.value) if guard.meant(said.stamp[1]) else None
            if value is not None and (usual := guard.usual(value)) != value:
                taken = put(guard, said, usual)
                self.findings.append(guard.finding(said, taken))
                if guard.action != "flag":
                    return (OK if guard.action == "clip" else guard.kind), taken
        return OK, said


def put(guard: Guard, said: Said, usual: Decimal | None) -> Said | None:
    """What is taken: the same, the nearest usual value, nothing in its place, or not at all."""
    if guard.action == "quarantine":
        return None
    if guard.action == "flag":
        return said
    value = None if guard.action == "null" or usual is None else guard.scale.json(usual)
    return Said(said.via, said.key, value, said.stamp, said.live)


def digest(session: ReadSession, key: str, said: str) -> bytes:
    """The keyed digest of a value, the same for any case of a text."""
    secret = bytes.fromhex(settings_of(session).identifier_key.get_secret_value())
    return blind_index(secret, f"trait {key}", _compared(said))


def _compared(said: str) -> str:
    """One form of JSON text that says the same."""
    value = json.loads(said, parse_float=Decimal, parse_int=Decimal)
    if isinstance(value, str):
        return value.strip().casefold()
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(number: Decimal) -> str:
    """A number without zeros at its end; a vast one by its exponent, since its digits would fill the memory."""
    return scalars.text(number) or str(number)


async def settle(session: WriteSession, watch: Watch) -> list[tuple[str, Said, Said | None]]:
    """Judge what should be unique: (outcome, statement, as it is taken). In the order in which it was said."""
    if not watch.waiting:
        return []
    waiting = sorted(watch.waiting, key=lambda one: (one[1].stamp, one[1].via, one[1].key))
    said_ones = [said for _, said in waiting]
    for key in sorted({said.key for said in said_ones}):
        await lock(session, "profile", "quality", key)  # two batches at a time would not see each other's
    owners = await identity_map.customers_of(session, {said.via for said in said_ones})
    asked = {(said.key, digest(session, said.key, said.value)) for said in said_ones if said.value is not None}
    others = await records.holders(session, sorted(asked), set(owners.values()))
    judged = [_judged(session, watch, outcome, said, owners, others) for outcome, said in waiting]
    await records.index(session, [(taken, _digest(session, taken)) for _, _, taken in judged if taken is not None])
    watch.waiting.clear()
    return judged


def _digest(session: ReadSession, said: Said) -> bytes | None:
    return None if said.value is None else digest(session, said.key, said.value)


def _judged(
    session: ReadSession,
    watch: Watch,
    outcome: str,
    said: Said,
    owners: Mapping[UUID, UUID],
    others: dict[tuple[str, bytes], set[UUID]],
) -> tuple[str, Said, Said | None]:
    if said.value is None:
        return outcome, said, said
    owner = owners.get(said.via, said.via)
    holders = others.setdefault((said.key, digest(session, said.key, said.value)), set())
    if holders and owner not in holders:  # who has given it before may say it again
        for guard in watch.guards.duplicates[said.key]:
            if guard.ready and guard.meant(said.stamp[1]):
                instead = put(guard, said, None)
                watch.findings.append(guard.finding(said, instead))
                if guard.action != "flag":
                    return guard.kind, said, instead
    holders.add(owner)
    return outcome, said, said
