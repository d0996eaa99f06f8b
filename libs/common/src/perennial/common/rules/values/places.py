"""How far a place is: great circles, computed so that Postgres comes to the same bit.

Both know places to the seventh decimal (a centimetre) and do the same steps of floating point, which IEEE 754 rounds
alike everywhere; only the sine, which every library rounds in its own way, is a polynomial of ours.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer

from perennial.common.rules.values.literals import Number
from perennial.common.rules.values.scalars import EXACT, number
from perennial.common.rules.values.shape import Node, plainly

LATITUDES, LONGITUDES = ("latitude", "lat"), ("longitude", "lng", "lon", "long")
PLACES = 7
EARTH_KM = 6371.0088  # the mean radius of the IUGG
FARTHEST_KM = 20_016  # half around
HALF = math.pi / 360  # half an angle, from degrees
# The sine from -90 to 90 degrees, times x: the next term is below a unit in the last place.
SINE = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(10, -1, -1))

_unit = Decimal(1).scaleb(-PLACES)


def _from(least: int, most: int) -> AfterValidator:
    def check(value: Decimal) -> Decimal:
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return AfterValidator(check)


def _ahead(value: Decimal) -> Decimal:
    if not 0 < value <= FARTHEST_KM:
        raise ValueError(f"must be above 0 and at most {FARTHEST_KM}")
    return value


class Around(Node):
    """A circle on the earth."""

    latitude: Annotated[Number, _from(-90, 90)]
    longitude: Annotated[Number, _from(-180, 180)]
    km: Annotated[Number, AfterValidator(_ahead)]

    @property
    def centre(self) -> tuple[Decimal, Decimal]:
        """Latitude and longitude, rounded as values are."""
        return rounded(self.latitude), rounded(self.longitude)

    @property
    def limit(self) -> float:
        """The haversine of the radius."""
        half = float(self.km) / EARTH_KM / 2
        return 2.0 if half >= math.pi / 2 else math.sin(half) ** 2

    @property
    def shrink(self) -> float:
        """The cosine of the centre's latitude."""
        return cosine(float(self.centre[0]))


AroundField = Annotated[Around, PlainSerializer(plainly)]


def rounded(value: Decimal) -> Decimal:
    """To the centimetre, halves away from zero as Postgres does."""
    return value.quantize(_unit, ROUND_HALF_UP, EXACT)


def point(value: object) -> tuple[Decimal, Decimal] | None:
    """Latitude and longitude of an object that has both, in degrees."""
    if not isinstance(value, Mapping):
        return None
    latitude, longitude = (
        number(next((value[name] for name in names if value.get(name) is not None), None))
        for names in (LATITUDES, LONGITUDES)
    )
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return rounded(latitude), rounded(longitude)


def near_check(around: Around) -> Callable[[object, datetime], bool]:
    """Whether a value is a place in the circle, its rim included."""
    (latitude, longitude), shrink, limit = around.centre, around.shrink, around.limit

    def holds(value: object, _now: datetime) -> bool:
        found = point(value)
        if found is None:
            return False
        up, along = sine_of_half(float(found[0] - latitude)), sine_of_half(float(_turned(found[1] - longitude)))
        return up * up + (shrink * cosine(float(found[0]))) * (along * along) <= limit

    return holds


def cosine(degrees: float) -> float:
    """By the sine of the half."""
    half = sine_of_half(degrees)
    return 1.0 - 2.0 * (half * half)


def sine_of_half(degrees: float) -> float:
    """Of half an angle, which lies from -90 to 90 degrees."""
    x = degrees * HALF
    y = x * x
    total = SINE[0]
    for coefficient in SINE[1:]:
        total = total * y + coefficient
    return x * total


def _turned(degrees: Decimal) -> Decimal:
    """The short way round."""
    return degrees - 360 if degrees > 180 else degrees + 360 if degrees < -180 else degrees
