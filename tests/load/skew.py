"""`python -m tests.load.skew`: how uneven partitions get, and how late their consumers; what docs/scaling.md counts on.

How often identifiers speak is log-normal, and one of them is a robot with a share of everything. A partition is a hash
of the identifier. Consumers are fluid: each lane handles so many events a second of its own partitions and no others;
a rush multiplies what comes for a minute. Nothing here touches the platform.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

IDENTIFIERS, SIGMA, SEED = 2_000_000, 1.8, 7
SECONDS, RUSH_FROM, RUSH_SECONDS, RUSH = 600, 60, 60, 2.5
PARTITIONS = (16, 64, 256, 1024)


def shares(partitions: int, robot: float) -> NDArray[np.float64]:
    """The share of all events that each partition gets; they sum to 1."""
    chance = np.random.default_rng(SEED)
    weights = chance.lognormal(sigma=SIGMA, size=IDENTIFIERS)
    weights *= (1 - robot) / weights.sum()
    found = np.bincount(chance.integers(partitions, size=IDENTIFIERS), weights, partitions)
    found[chance.integers(partitions)] += robot
    return np.asarray(found)


def lateness(arriving: NDArray[np.float64], capacity: float) -> NDArray[np.float64]:
    """How many seconds each lane is behind, second by second (seconds x lanes); `arriving` is per second and lane."""
    behind = np.zeros((SECONDS, len(arriving)))
    queue = np.zeros(len(arriving))
    for second in range(SECONDS):
        rush = RUSH if RUSH_FROM <= second < RUSH_FROM + RUSH_SECONDS else 1.0
        queue = np.maximum(queue + arriving * rush - capacity, 0)
        behind[second] = queue / capacity
    return behind


def line(partitions: int, lanes: int, arriving: NDArray[np.float64], capacity: float) -> str:
    """One row of the table."""
    behind = lateness(arriving, capacity)
    late = np.flatnonzero(behind.max(axis=1) > 1)
    again = "0 s" if not len(late) else "never" if late[-1] == SECONDS - 1 else f"{late[-1] - RUSH_FROM} s"
    full, worst, middle = (arriving > capacity).sum(), behind.max(), np.median(behind.max(axis=0))
    uneven = arriving.max() / arriving.mean()
    return f"{partitions:>10}{lanes:>7}{uneven:>16.2f}{full:>12}{worst:>9.1f} s{middle:>10.1f} s{again:>18}"


def main() -> None:
    """One line for each number of partitions."""
    parser = argparse.ArgumentParser(description="Skew of partitions, and the lag of their consumers.")
    parser.add_argument("--rate", type=float, default=100_000, help="events a second (100,000)")
    parser.add_argument("--lane", type=float, default=5_000, help="what one lane handles a second (5,000)")
    parser.add_argument("--robot", type=float, default=0.002, help="one identifier's share of everything (0.002)")
    parser.add_argument("--room", type=float, default=2.0, help="how much more the lanes could do in all (2)")
    asked = parser.parse_args()
    need = int(np.ceil(asked.rate * asked.room / asked.lane))
    print(f"{asked.rate:,.0f} events/s, {need} lanes of {asked.lane:,.0f}, a rush of {RUSH} x for {RUSH_SECONDS} s")
    print("partitions  lanes  busiest / mean  lanes full  worst lag  median lag  well again after")
    for partitions in PARTITIONS:
        lanes = min(partitions, need)
        split = np.add.reduceat(shares(partitions, asked.robot), np.arange(lanes) * partitions // lanes)
        print(line(partitions, lanes, asked.rate * split, asked.lane))


if __name__ == "__main__":
    main()
