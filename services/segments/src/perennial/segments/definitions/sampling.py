"""A part of the customers, the same each time, and what a count among them says of everybody."""

from dataclasses import dataclass
from math import ceil, sqrt

from sqlalchemy import text

from perennial.common.db import ReadSession

# Of fewer identifiers everybody is counted; of more, a part that has about as many as it takes half a second to ask.
FEW, ENOUGH, LARGEST = 250_000, 40_000, 8
LOWEST, HASHES = -(2**31), 2**32


@dataclass(frozen=True)
class Counted:
    """So many were found among one customer in `times`; of everybody where that is 1."""

    found: int
    times: float = 1

    @property
    def count(self) -> int:
        """The best guess of how many there are in all."""
        return round(self.found * self.times)

    @property
    def margin(self) -> int:
        """By how much `count` is off at most, at 95 %: as a Poisson interval, which is wide where few were found."""
        return ceil((1.96 * sqrt(self.found + 1) + 2) * sqrt(1 - 1 / self.times) * self.times)


async def one_in(session: ReadSession) -> int:
    """Which part is worth looking at where everybody takes too long: 1 of so many; 1 where there are few."""
    size = await session.execute(text("SELECT reltuples FROM pg_class WHERE oid = to_regclass('identity_map')"))
    vias, times = size.scalar_one(), LARGEST
    if vias < FEW:
        return 1
    while vias / times > ENOUGH:
        times *= 2
    return times


def of_part(times: int) -> str:
    """The beginning of a statement in which there are only these customers; of nothing more where it is everybody.

    It is a range, of which Postgres knows how many there are by the index of the hashes, and so plans well.
    """
    if times == 1:
        return "WITH "
    hashes = f"uuid_hash(customer_id) BETWEEN {LOWEST} AND {LOWEST + HASHES // times - 1}"
    part = f"SELECT via, customer_id FROM identity_map WHERE {hashes}"  # noqa: S608 (whole numbers of ours)
    return f"WITH identity_map AS MATERIALIZED ({part}), "
