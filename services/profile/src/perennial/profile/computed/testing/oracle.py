"""Computed traits the naive way: every event of a customer, looked at one by one."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from perennial.common.contracts.hot import read_body

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Occurred = Any  # a customer event
STEPS = {"PT6H": HOUR, "P3D": HOUR, "P60D": DAY}
SPANS = {"PT6H": 6 * HOUR, "P3D": 3 * DAY, "P60D": 60 * DAY}
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def expected(spec: dict[str, Any], events: Sequence[Occurred], now: datetime) -> Any:
    """What is to be shown for these events of one customer."""
    chosen = [event for event in events if _wanted(spec, event) and _within(spec.get("window"), event.timestamp, now)]
    chosen.sort(key=lambda event: (event.timestamp, event.id))
    return _OF[spec["function"]](spec, chosen, now)


def _properties(event: Occurred) -> dict[str, Any]:
    return read_body(event.body).properties or {}


def _wanted(spec: dict[str, Any], event: Occurred) -> bool:
    named = event.type in spec.get("types", ()) or (event.type == "track" and event.name in spec.get("events", ()))
    return named and all(_properties(event).get(item["property"]) == item["is"] for item in spec.get("where", ()))


def _within(window: str | None, at: datetime, now: datetime) -> bool:
    if window is None:
        return True
    if window in SPANS:
        return _floor(now - SPANS[window], STEPS[window]) <= _floor(at, STEPS[window]) <= now
    zone = ZoneInfo("UTC")
    there, here = at.astimezone(zone).date(), now.astimezone(zone).date()
    if window == "day":
        return there == here
    if window == "week":
        return there.isocalendar()[:2] == here.isocalendar()[:2]
    return (there.year, there.month) == (here.year, here.month)


def _floor(at: datetime, step: timedelta) -> datetime:
    return EPOCH + (at - EPOCH) // step * step


def _read(spec: dict[str, Any], event: Occurred) -> list[Any]:
    path = spec["property"]
    if path == "$source":
        return [event.source]
    if path == "$hour":
        return [event.timestamp.hour]
    found = _properties(event)
    if path == "products[].category":
        return [item["category"] for item in found.get("products", [])]
    return [found[path]] if path in found else []


def _numbers(spec: dict[str, Any], chosen: Sequence[Occurred]) -> dict[str, list[Decimal]]:
    found: dict[str, list[Decimal]] = {}
    for event in chosen:
        code = _properties(event).get("currency", "USD") if spec.get("money") else ""
        for value in _read(spec, event):
            found.setdefault(code, []).append(Decimal(str(value)))
    return found


def _amounts(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    choices: dict[str, Callable[..., Any]] = {
        "sum": sum,
        "min": min,
        "max": max,
        "average": lambda values: sum(map(Fraction, values), Fraction()) / len(values),
    }
    compute = choices[spec["function"]]
    found = _numbers(spec, chosen)
    if not found:
        return ("0.00" if spec.get("money") else 0) if spec["function"] == "sum" else None
    code = min(found, key=lambda code: (code != "USD", -len(found[code]), code))
    value = Fraction(compute(found[code]))
    if spec.get("money"):
        return f"{Decimal(round(value * 100)) / 100:.2f}"
    places = 6 if spec["function"] == "average" else 3
    return float(Decimal(round(value * 10**places)) / 10**places)


def _count(_spec: Any, chosen: Sequence[Occurred], _now: datetime) -> int:
    return len(chosen)


def _end(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    if "property" in spec:
        chosen = [event for event in chosen if _read(spec, event)]
    if not chosen:
        return None
    event = chosen[0 if spec["function"] == "first" else -1]
    return _read(spec, event)[0] if "property" in spec else event.timestamp.isoformat().replace("+00:00", "Z")


def _counted(spec: dict[str, Any], chosen: Sequence[Occurred]) -> list[str]:
    """Words by how often they were seen, then by how lately."""
    seen: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for event in chosen:
        for value in _read(spec, event):
            seen[str(value)] += 1
            last[str(value)] = event.timestamp
    return sorted(seen, key=lambda word: (-seen[word], -last[word].timestamp(), word))


def _most(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    found = _counted(spec, chosen)
    if not found:
        return None
    return int(found[0]) if spec["property"] == "$hour" else found[0]


def _breakdown(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    return dict(Counter(str(value) for event in chosen for value in _read(spec, event))) or None


def _unique_list(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    return set(_counted(spec, chosen)) or None


def _unique_count(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> int:
    return len(_counted(spec, chosen))


def _share(spec: dict[str, Any], chosen: Sequence[Occurred], _now: datetime) -> Any:
    if not chosen:
        return None
    [having] = spec["having"]
    held = sum(_properties(event).get(having["property"]) == having["is"] for event in chosen)
    return float(Decimal(round(Fraction(held, len(chosen)) * 10_000)) / 10_000)


def _days_since(_spec: Any, chosen: Sequence[Occurred], now: datetime) -> int | None:
    return max(0, (now - chosen[-1].timestamp) // DAY) if chosen else None


def _mean_interval(_spec: Any, chosen: Sequence[Occurred], _now: datetime) -> float | None:
    if len(chosen) < 2:
        return None
    gaps = [(after.timestamp - before.timestamp) for before, after in itertools.pairwise(chosen)]
    mean = Fraction(sum(gap // timedelta(microseconds=1) for gap in gaps), len(gaps) * 86_400_000_000)
    return float(Decimal(round(mean * 100)) / 100)


def _visits(chosen: Sequence[Occurred]) -> list[list[datetime]]:
    found: list[list[datetime]] = []
    for event in chosen:
        if found and event.timestamp - found[-1][-1] <= timedelta(minutes=30):
            found[-1].append(event.timestamp)
        else:
            found.append([event.timestamp])
    return found


def _sessions(_spec: Any, chosen: Sequence[Occurred], _now: datetime) -> int:
    return len(_visits(chosen))


def _dwell(_spec: Any, chosen: Sequence[Occurred], _now: datetime) -> float:
    micros = sum((visit[-1] - visit[0]) // timedelta(microseconds=1) for visit in _visits(chosen))
    return float(Decimal(round(Fraction(micros, 60_000_000) * 100)) / 100)


_OF = {
    "count": _count, "sum": _amounts, "average": _amounts, "min": _amounts, "max": _amounts, "first": _end,
    "last": _end, "most_frequent": _most, "unique_list": _unique_list, "unique_count": _unique_count,
    "breakdown": _breakdown, "share": _share, "days_since": _days_since, "mean_interval": _mean_interval,
    "sessions": _sessions, "dwell": _dwell,
}  # fmt: skip
