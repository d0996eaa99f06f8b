"""Which side of its limit each measure is on: it crosses once, and recovers only beyond the limit by some distance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from perennial.profile.quality.measuring import scores

GAP = 0.02
_PERCENT = {"score": 100.0}


@dataclass(frozen=True)
class Limit:
    """A rule with a limit: `lower` says that what is below it is bad."""

    rule: UUID
    measure: str
    source: str | None
    key: str | None
    limit: float
    lower: bool
    recover: float

    @classmethod
    def of(cls, rule: UUID, said: Mapping[str, Any]) -> "Limit":
        """From a rule's definition."""
        measure = said.get("measure") or "fill"
        lower = said.get("below") is not None
        limit = said["below"] if lower else said["above"]
        gap = GAP * (_PERCENT.get(measure, 1.0) if measure != "quarantine" else limit)
        recover = said.get("recover")
        if recover is None:
            most = 1.0 if measure not in {"score", "quarantine"} else 100.0 if measure == "score" else limit + gap
            recover = min(limit + gap, most) if lower else max(limit - gap, 0.0)
        return cls(rule, measure, said.get("source"), said.get("key"), limit, lower, recover)

    def crossed(self, value: float, *, before: bool) -> bool:
        """Whether it is on the bad side, given that it was there `before`."""
        if self.lower:
            return value < (self.recover if before else self.limit)
        return value > (self.recover if before else self.limit)


Measured = Mapping[tuple[str, str, str], float]
"""Values by measure, source and trait (empty: of the source)."""


def measured(
    traits: Iterable[Mapping[str, Any]], sources: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str, str], float]:
    """All that a limit can be on, of one day's rows."""
    found: dict[tuple[str, str, str], float | None] = {}
    for row in traits:
        place = (row["source"], row["key"])
        found["fill", *place] = scores.share(row["shown"], row["customers"])
        found["validity", *place] = scores.share(row["week_accepted"], row["week_said"])
        found["freshness", *place] = scores.fresh(row)
        found["uniqueness", *place] = scores.share(row["distinct_values"], row["unique_of"])
    for source, row in sources.items():
        parts = row["components"]
        found["score", source, ""] = row["score"]
        found["fill", source, ""] = parts["completeness"]
        for name in ("validity", "freshness", "uniqueness"):
            found[name, source, ""] = parts[name]
        for name in ("late", "duplicates", "rejected"):
            found[name, source, ""] = row["shares"][name]
        found["quarantine", source, ""] = float(sum(row["waiting"].values()))
    return {place: value for place, value in found.items() if value is not None}


def judged(
    limits: Sequence[Limit], values: Measured, before: Mapping[tuple[UUID, str, str], bool]
) -> Iterator[tuple[Limit, str, str, float, bool, bool]]:
    """(limit, source, trait, value, crossed, changed) for all that was measured."""
    for limit in limits:
        for (measure, source, key), value in values.items():
            if measure != limit.measure or key != (limit.key or "") or limit.source not in {None, source}:
                continue
            was = before.get((limit.rule, source, key), False)
            now = limit.crossed(value, before=was)
            yield limit, source, key, value, now, now != was
