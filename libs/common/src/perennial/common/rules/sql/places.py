"""How far a place is, in SQL: the twin of `values.places`, step by step."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Sequence

from perennial.common.rules.sql.values import Binds, number
from perennial.common.rules.values.places import HALF, LATITUDES, LONGITUDES, PLACES, SINE, Around

# OFFSET 0 keeps Postgres from working out again what is named once.
_ONCE = "OFFSET 0"


def near_sql(around: Around, value: str, binds: Binds) -> str:
    """Whether a jsonb value is a place in the circle, its rim included; null where it is no place."""
    latitude, longitude = (binds(degrees, "numeric") for degrees in around.centre)
    up, along, lower = _sine_of_half("place.up"), _sine_of_half("place.along"), _sine_of_half("place.latitude")
    place = (
        f"SELECT (found.latitude - {latitude})::float8 AS up, found.latitude::float8 AS latitude,"
        f" ({_turned(f'(found.longitude - {longitude})')})::float8 AS along"
        f" FROM (SELECT round({_degrees(value, LATITUDES)}, {PLACES}) AS latitude,"
        f" round({_degrees(value, LONGITUDES)}, {PLACES}) AS longitude {_ONCE}) AS found"
    )
    sines = f"SELECT {up} AS up, {along} AS along, {lower} AS lower FROM ({place} {_ONCE}) AS place"
    cosine = f"({_float(1)} - {_float(2)} * (sine.lower * sine.lower))"
    total = f"sine.up * sine.up + ({_float(around.shrink)} * {cosine}) * (sine.along * sine.along)"
    return f"(SELECT {total} <= {_float(around.limit)} FROM ({sines} {_ONCE}) AS sine)"


def _degrees(value: str, names: Sequence[str]) -> str:
    """The number under the first of the names that is there, null where it is beyond the earth."""
    found = ", ".join(f"nullif({value} -> '{name}', 'null')" for name in names)
    said = f"SELECT coalesce({found}) AS said {_ONCE}"
    degrees = f"SELECT {number('s.said')} AS degrees FROM ({said}) AS s {_ONCE}"
    most = 90 if names is LATITUDES else 180
    return f"(SELECT CASE WHEN abs(d.degrees) <= {most} THEN d.degrees END FROM ({degrees}) AS d)"


def _turned(degrees: str) -> str:
    return (
        f"CASE WHEN {degrees} > 180 THEN {degrees} - 360 WHEN {degrees} < -180 THEN {degrees} + 360 ELSE {degrees} END"
    )


def _sine_of_half(degrees: str) -> str:
    total = _float(SINE[0])
    for coefficient in SINE[1:]:
        total = f"({total} * q.y + {_float(coefficient)})"
    halved = f"SELECT {degrees} * {_float(HALF)} AS x {_ONCE}"
    squared = f"SELECT p.x, p.x * p.x AS y FROM ({halved}) AS p {_ONCE}"
    return f"(SELECT q.x * {total} FROM ({squared}) AS q)"


def _float(value: float) -> str:
    """Digits that Postgres reads back to the same bit."""
    return f"'{float(value)!r}'::float8"
