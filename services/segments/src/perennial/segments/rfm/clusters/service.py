"""The verbs of clusters: find the centroids, name them by where they lie, explain them.

The three logarithms ln(1 + x) of days since the last order, orders and money are standardised (mean 0, deviation 1):
without them one large buyer would be a cluster. Centroids are named by a rule: the one with the most orders and money
(sum of both coordinates) is `high_value`; of the other four by recency the first two are alive, of which the one with
more orders and money is `potential`, the other `new`; then follow `sleeping`, and `lost`, who bought longest ago.
"""

import asyncio
import json
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perennial.segments.rfm.names import HIGH_VALUE, LOST, NAMES, NEW, POTENTIAL, SLEEPING

SECONDS = 60
CHILD = "perennial.segments.rfm.clusters.kmeans"
TOO_FEW = "fewer than five customers differ in recency, frequency and monetary value"
RULE = {
    HIGH_VALUE: "the most orders and money of the five",
    POTENTIAL: "of the two that bought last among the others, the one with more orders and money",
    NEW: "of the two that bought last among the others, the one with fewer orders and less money",
    SLEEPING: "of the two that bought longest ago, the one that bought later",
    LOST: "bought longest ago",
}
Center = tuple[float, float, float]


@dataclass(frozen=True)
class Cluster:
    """A centroid: standardised recency (in days: high is long ago), frequency and monetary value."""

    name: str
    center: Center


async def find(points: Sequence[Sequence[float]]) -> list[Cluster] | None:
    """The named clusters of standardised points; None where too few differ.

    Raises RuntimeError when the process that computes them died, TimeoutError when it took too long.
    """
    numbers = array("d", (coordinate for point in points for coordinate in point))
    if sys.byteorder == "big":
        numbers.byteswap()
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", CHILD, stdin=pipe, stdout=pipe)
    try:
        said, _ = await asyncio.wait_for(child.communicate(numbers.tobytes()), SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        msg = f"clustering ended with exit code {child.returncode}"
        raise RuntimeError(msg)
    centers = json.loads(said)
    return centers and name([tuple(center) for center in centers])


def name(centers: Sequence[Center]) -> list[Cluster]:
    """Each centroid with its name; ties go by the coordinates, so the order of the centroids is no matter."""
    best, *others = sorted(centers, key=lambda center: (-_worth(center), center))
    recent = sorted(others, key=lambda center: (center[0], -_worth(center), center))
    alive = sorted(recent[:2], key=lambda center: (-_worth(center), center))
    names = (HIGH_VALUE, POTENTIAL, NEW, SLEEPING, LOST)
    return [Cluster(name, center) for name, center in zip(names, [best, *alive, *recent[2:]], strict=True)]


def _worth(center: Center) -> float:
    return center[1] + center[2]


def explain(clusters: Sequence[Cluster], scales: Sequence[float]) -> list[dict[str, Any]]:
    """Every centroid in original units and standardised, with the rule that named it."""
    means, deviations = scales[:3], scales[3:]
    keys = ("recency_days", "frequency", "monetary")
    told = []
    for cluster in clusters:
        back = [math.expm1(mean + z * wide) for mean, z, wide in zip(means, cluster.center, deviations, strict=True)]
        english, chinese = NAMES["cluster"][cluster.name]
        told.append(
            {
                "cluster": cluster.name,
                "en": english,
                "zh": chinese,
                "because": RULE[cluster.name],
                "center": {key: f"{max(0.0, value):.2f}" for key, value in zip(keys, back, strict=True)},
                "z": dict(zip(keys, cluster.center, strict=True)),
            }
        )
    return told
