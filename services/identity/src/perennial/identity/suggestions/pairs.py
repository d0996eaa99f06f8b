"""What goes into the matching and what comes out of it."""

from collections.abc import Mapping
from typing import NamedTuple

FEWEST = 200  # records: with fewer there is nothing to learn from

Record = Mapping[str, str | None]


class Agreement(NamedTuple):
    """How two records agree in one field, and what that is worth in bits, for (above zero) or against a match."""

    level: str
    weight: float


class Found(NamedTuple):
    """How many customers were compared, how many pairs were found, and the best of those that nobody has decided."""

    customers: int
    pairs: int
    best: "list[Pair]"


class Pair(NamedTuple):
    """Two records that are probably one person. `weight` is in bits: the logarithm of the odds."""

    low: str
    high: str
    weight: float
    probability: float
    fields: dict[str, Agreement]
