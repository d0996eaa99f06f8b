"""The score of a source: a weighted mean of what could be measured of it, each part between 0 and 1.

completeness  30  mean fill rate of the traits that are required of it, or of all that it says where none is
validity      25  accepted of what was said, in the last seven days
freshness     15  values no older than the settings' span
uniqueness    10  distinct values where they should be
timeliness    10  events that were received in time, in the last seven days
acceptance     5  events that were neither rejected nor parked, in the last seven days
singleness     5  events that were no repeats, in the last seven days

What cannot be measured is left out, and the weights of the rest count for more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WEIGHTS = {
    "completeness": 30, "validity": 25, "freshness": 15, "uniqueness": 10, "timeliness": 10, "acceptance": 5,
    "singleness": 5,
}  # fmt: skip
LATE = {"1h": ("late_1h", "late_1d", "late_7d"), "1d": ("late_1d", "late_7d"), "7d": ("late_7d",)}
WAITING = ("quarantined", "parked", "held")


@dataclass
class Intake:
    """Events of a source by outcome, in seven days and today; and what waits, by where."""

    week: dict[str, int] = field(default_factory=dict)
    today: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)


def share(part: float | None, whole: float | None) -> float | None:
    """A part of a whole, where there is one; never more than all of it."""
    return None if part is None or not whole else min(float(part) / float(whole), 1.0)


def without(found: float | None) -> float | None:
    """The rest of a share."""
    return None if found is None else 1.0 - found


def fresh(row: Mapping[str, Any]) -> float | None:
    """The share of values that are not stale."""
    return without(share(row["stale"], row["held"]))


def summed(counts: Mapping[str, int], *prefixes: str) -> int:
    """All that is counted under these names or below them."""
    return sum(number for name, number in counts.items() if name.split(":")[0] in prefixes)


def intake_shares(counts: Mapping[str, int], late_after: str) -> dict[str, float | None]:
    """Shares of late, repeated and rejected events."""
    accepted, repeated = summed(counts, "accepted"), summed(counts, "repeated")
    refused = summed(counts, "rejected", "parked")
    return {
        "late": share(summed(counts, *LATE[late_after]), summed(counts, "timed")),
        "duplicates": share(repeated, accepted + repeated),
        "rejected": share(refused, accepted + refused),
    }


def components(rows: Iterable[Mapping[str, Any]], intake: Intake, late_after: str) -> dict[str, float | None]:
    """The parts of a source's score, from its traits' rows and its intake; None where nothing was measured."""
    rows = list(rows)
    required = [row for row in rows if row["required"]]
    fills = [found for row in required or rows if (found := share(row["shown"], row["customers"])) is not None]
    shares = intake_shares(intake.week, late_after)
    return {
        "completeness": sum(fills) / len(fills) if fills else None,
        "validity": share(_sum(rows, "week_accepted"), _sum(rows, "week_said")),
        "freshness": without(share(_sum(rows, "stale"), _sum(rows, "held"))),
        "uniqueness": share(_sum(rows, "distinct_values"), _sum(rows, "unique_of")),
        "timeliness": without(shares["late"]),
        "acceptance": without(shares["rejected"]),
        "singleness": without(shares["duplicates"]),
    }


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name] or 0) for row in rows)


def score(parts: Mapping[str, float | None]) -> float | None:
    """0 to 100; None where nothing at all was measured."""
    known = {name: value for name, value in parts.items() if value is not None}
    weights = sum(WEIGHTS[name] for name in known)
    return 100 * sum(WEIGHTS[name] * value for name, value in known.items()) / weights if weights else None
