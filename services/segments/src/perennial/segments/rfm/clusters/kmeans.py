"""k-means on a few columns, the same every time; run as a process of its own, it reads numbers and writes centroids.

`python -m perennial.segments.rfm.clusters.kmeans` takes rows of three float64 on stdin and answers with JSON. The
process keeps numpy's memory and its seconds of CPU away from the worker.
"""

import json
import sys

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

COLUMNS, CLUSTERS, STARTS, ROUNDS, SEED = 3, 5, 4, 100, 0
DIGITS = 9  # what lies beyond them differs from one processor to the next


def fit(points: Points) -> Points | None:
    """The centroids of the best of a few k-means++ starts; None when fewer than five points differ."""
    if len(np.unique(points.round(DIGITS), axis=0)) < CLUSTERS:
        return None
    random = np.random.default_rng(SEED)
    tried = [_settle(points, _spread(points, random)) for _ in range(STARTS)]
    _, best = min(tried, key=lambda one: one[0])
    return best.round(DIGITS)


def _spread(points: Points, random: np.random.Generator) -> Points:
    """k-means++: each next centroid is drawn in proportion to the squared distance from those before."""
    chosen = [points[random.integers(len(points))]]
    away = _squares(points, chosen[0])
    while len(chosen) < CLUSTERS:
        place = np.searchsorted(np.cumsum(away), random.random() * away.sum(), side="right")
        chosen.append(points[min(int(place), len(points) - 1)])
        away = np.minimum(away, _squares(points, chosen[-1]))
    return np.array(chosen)


def _settle(points: Points, centers: Points) -> tuple[float, Points]:
    """Lloyd's rounds until nobody moves: the sum of squares, and the centroids. An empty cluster stays where it is."""
    nearest = None
    for _ in range(ROUNDS):
        away = np.stack([_squares(points, center) for center in centers])
        before, nearest = nearest, away.argmin(axis=0)
        if before is not None and np.array_equal(before, nearest):
            break
        counts = np.bincount(nearest, minlength=CLUSTERS)
        sums = np.stack([np.bincount(nearest, axis, CLUSTERS) for axis in points.T], axis=1)
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
    return float(away.min(axis=0).sum()), centers


def _squares(points: Points, center: Points) -> Points:
    # Column by column: a matrix product would add up in another order on another machine.
    return sum(((points[:, axis] - center[axis]) ** 2 for axis in range(COLUMNS)), np.zeros(len(points)))


def main() -> None:
    """Read, fit, write."""
    points = np.frombuffer(sys.stdin.buffer.read(), dtype="<f8").reshape(-1, COLUMNS)
    centers = fit(points)
    json.dump(None if centers is None else centers.tolist(), sys.stdout)


if __name__ == "__main__":
    main()
