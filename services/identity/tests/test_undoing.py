"""What else has parted two since their merge: each part of that question decides a story of its own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from perennial.common.db import WriteSession
from perennial.identity.decisions.service import Keys
from perennial.identity.policy.rules import DEFAULT, Policy
from perennial.identity.testing.world import World

A, B, C = (f"anonymous_id:{name}" for name in "abc")
DEVICE, ANN, BOB = "device_id:tablet", "user_id:ann", "user_id:bob"
SOON_SHARED = Policy(
    0, {kind: replace(rule, shared_after=rule.shared_after and 2) for kind, rule in DEFAULT.rules.items()}
)


@pytest.fixture
async def world(session: WriteSession, keys: Keys, accept: Any, whole: Any) -> AsyncIterator[World]:
    """Three visitors and a tablet, who have not met; what happens to them is as the model says."""
    made = World(session, keys.under(SOON_SHARED), accept)
    for one in (DEVICE, A, B, C):
        await made.take([frozenset({one})])
    yield made
    await whole(session)
    await made.check()
    await made.check_copies()


async def test_an_undoing_of_before_the_merge_parts_nobody(world: World) -> None:
    await world.merge(A, B)
    await world.undo("undo", 0)
    await world.merge(A, B)
    assert await world.undo("undo", 1) is None
    assert not world.model.customer_of[A] & {B}


async def test_what_the_undoing_of_another_merge_has_parted_and_somebody_has_joined_again_stays(world: World) -> None:
    await world.merge(B, C)
    await world.merge(A, B)
    await world.undo("undo", 0)
    await world.merge(A, C)
    assert await world.undo("undo", 1) is None
    assert world.model.customer_of[C] == {A, C}


async def test_what_a_split_has_parted_and_somebody_has_joined_again_stays(world: World) -> None:
    await world.merge(A, B)
    await world.split(A, {B})
    await world.merge(A, B)
    assert await world.undo("undo", 0) == "nothing_to_undo"
    assert await world.undo("undo", 1) is None, "the split was before this one"


async def test_a_split_that_was_undone_has_parted_nobody(world: World) -> None:
    await world.merge(A, B)
    await world.split(A, {B})
    await world.undo("unsplit", 0)
    assert await world.undo("undo", 0) is None
    assert not world.model.customer_of[A] & {B}


@pytest.mark.parametrize("verb", ["undo", "split"])
async def test_who_was_parted_from_a_third_is_still_with_the_second(world: World, verb: str) -> None:
    """B and C are apart, by a split that is undone later, while B is parted from A."""
    await world.merge(B, C)
    await world.split(B, {C})
    await world.merge(A, B)
    assert await (world.undo("undo", 1) if verb == "undo" else world.split(A, {B})) is None
    assert await world.undo("unsplit", 0) is None
    assert await world.undo("undo", 0) is None
    assert not world.model.customer_of[B] & {C}


@pytest.mark.parametrize("shared", [A, B], ids=["founder", "other"])
async def test_what_sharing_has_parted_and_somebody_has_joined_again_stays(world: World, shared: str) -> None:
    await world.merge(A, B)
    await world.mark("share", shared)
    await world.mark("unshare", shared)
    await world.merge(A, B)
    assert await world.undo("undo", 0) == "nothing_to_undo"
    assert await world.undo("undo", 1) is None, "it was shared before this one"


async def test_sharing_somebody_who_is_alone_parts_nobody(world: World) -> None:
    await world.merge(A, B)
    await world.split(A, {B})
    await world.mark("share", B)
    await world.mark("unshare", B)
    await world.undo("unsplit", 0)
    assert await world.undo("undo", 0) is None
    assert not world.model.customer_of[A] & {B}


async def test_a_founder_that_is_shared_in_the_pull_that_merged_it_was_parted(world: World) -> None:
    """Nobody who stays had its name before that pull: only the founder itself can tell."""
    await world.take([frozenset({ANN, DEVICE}), frozenset({ANN, B}), frozenset({BOB, DEVICE})])
    assert DEVICE in world.model.shared
    await world.split(ANN, {B})
    await world.mark("unshare", DEVICE)
    await world.merge(DEVICE, B)
    assert await world.undo("undo", 0) == "nothing_to_undo"
