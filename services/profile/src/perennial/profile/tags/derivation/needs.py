"""How strongly a customer's words speak for a tag: every text counts half after each half-life."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from perennial.profile.tags.definitions.compiled import HALVINGS, Need

CLEAR = 0.2  # from here on a text is said to sound good or bad
MOST_WORDS = 3  # of a topic in one text: more of the same say no more
_SOON, _NO_AGE = timedelta(seconds=1), timedelta()


def counts(need: Need, said: Row[Any]) -> float:
    """What one text adds when it is new."""
    weight = need.weights.get(said.kind, 0.0)
    if need.mood is not None:
        polarity = said.polarity or 0.0
        if (polarity if need.mood == "positive" else -polarity) < CLEAR:
            return 0.0
    if not need.topics:
        return weight
    words: int = sum(said.topics.get(topic, 0) for topic in need.topics)
    return weight * min(MOST_WORDS, words)


def score(need: Need, texts: Sequence[Row[Any]], now: datetime) -> float:
    """The sum over texts, each halved by its age."""
    oldest = now - need.half_life * HALVINGS
    return math.fsum(
        found * math.exp2(-(max(now - said.at, _NO_AGE) / need.half_life))
        for said in texts
        if said.at > oldest and (found := counts(need, said))
    )


def fades(need: Need, strength: float, now: datetime) -> datetime:
    """When a score falls below the threshold if nothing is added: all of it halves at the same pace."""
    return now + need.half_life * max(0.0, math.log2(strength / need.threshold)) + _SOON
