"""The rules find what people get wrong: one mistake in each object of production, and every mistake once."""

import copy
import itertools
from collections.abc import Iterator

import pytest

from tests.k8s.mistakes import MISTAKES, Mistake
from tests.k8s.rules import check
from tests.k8s.world import Object, World, name_of, production


def _seeded() -> Iterator[tuple[str, str, Mistake]]:
    """Object, what is wrong with it, and how: the objects of a kind take turns, the first has all of them."""
    turns = {kind: itertools.cycle(found.items()) for kind, found in MISTAKES.items()}
    seen: set[str] = set()
    for item in production():
        kind = item["kind"]
        if kind not in seen:
            seen.add(kind)
            yield from ((name_of(item), said, mistake) for said, mistake in MISTAKES[kind].items())
        else:
            said, mistake = next(turns[kind])
            yield name_of(item), said, mistake


@pytest.mark.parametrize("kind", sorted(MISTAKES))
def test_a_mistake_is_found(kind: str) -> None:
    objects = production()
    missed = [
        f"{name}: {said}"
        for name, said, mistake in _seeded()
        if name.startswith(f"{kind}/") and _is_fine(_with(objects, name, mistake))
    ]
    assert not missed


def test_an_object_that_is_gone_is_missed() -> None:
    everything = production()
    missed = [name_of(item) for item in everything if _is_fine([other for other in everything if other is not item])]
    # Whoever leaves these out decides to have no autoscaling of that kind, no route of ours, no backups by time.
    chosen = {"HorizontalPodAutoscaler/gateway-api", "HTTPRoute/gateway", "ScheduledBackup/postgres", "Pooler/pooler"}
    assert not set(missed) - chosen


def test_every_kind_that_is_applied_has_mistakes() -> None:
    assert {item["kind"] for item in production()} == set(MISTAKES)


def _is_fine(objects: list[Object]) -> bool:
    return next(check(World(objects, production=True)), None) is None


def _with(objects: list[Object], name: str, mistake: Mistake) -> list[Object]:
    changed = copy.deepcopy(next(item for item in objects if name_of(item) == name))
    mistake(changed)
    return [changed if name_of(item) == name else item for item in objects]
