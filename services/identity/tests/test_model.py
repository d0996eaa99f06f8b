"""Events, merges, splits, sharing and all their undoing in any order: the map is whole and equals a plain model."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.common.db import WriteSession
from perennial.identity.decisions.service import Keys
from perennial.identity.policy.rules import DEFAULT, Policy, Rule
from perennial.identity.testing.world import Deed, World, live

EXAMPLES = settings(
    max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def identifiers() -> st.SearchStrategy[frozenset[str]]:
    kinds = st.sampled_from(["user_id", "email", "device_id", "anonymous_id", "external_id:crm"])
    one = st.builds(lambda kind, n: f"{kind}:v{n}{'@x.cn' if kind == 'email' else ''}", kinds, st.integers(1, 4))
    return st.frozensets(one, min_size=1, max_size=3)


def pulls() -> st.SearchStrategy[list[frozenset[str]]]:
    return st.lists(identifiers(), min_size=1, max_size=4)


def deeds() -> st.SearchStrategy[Deed]:
    verbs = ["merge", "merge", "undo", "undo", "split", "split", "unsplit", "unsplit", "share", "unshare"]
    return st.builds(Deed, st.sampled_from(verbs), st.integers(0, 30), st.integers(0, 2**16))


def policies() -> st.SearchStrategy[Policy]:
    def made(after: int | None, approve: int | None, own: Rule | None) -> Policy:
        rules = {**DEFAULT.rules, **({"external_id:crm": own} if own else {})}
        shared = {name: replace(rule, shared_after=rule.shared_after and after) for name, rule in rules.items()}
        return Policy(0, shared, approve)

    own = st.builds(Rule, rank=st.sampled_from([1, 20]), limit=st.integers(1, 2), unique=st.booleans())
    return st.builds(
        made, st.sampled_from([2, 3, None]), st.sampled_from([None, None, 1, 2]), st.one_of(st.none(), own)
    )


@EXAMPLES
@given(
    first=pulls(),
    acts=st.lists(st.one_of(pulls(), deeds(), deeds(), deeds()), min_size=1, max_size=25),
    policy=policies(),
)
async def test_whatever_people_do_between_events_the_map_is_whole_and_what_the_model_says(
    session: WriteSession,
    keys: Keys,
    accept: Any,
    whole: Any,
    first: list[frozenset[str]],
    acts: list[list[frozenset[str]] | Deed],
    policy: Policy,
) -> None:
    await live(World(session, keys.under(policy), accept), first, acts, whole)


STRANGERS = [frozenset({f"anonymous_id:v{n}"}) for n in range(1, 5)]


@EXAMPLES
@given(acts=st.lists(deeds(), min_size=5, max_size=30))
async def test_merges_and_splits_are_undone_in_any_order(
    session: WriteSession, keys: Keys, accept: Any, whole: Any, acts: list[Deed]
) -> None:
    await live(World(session, keys, accept), STRANGERS, acts, whole)
