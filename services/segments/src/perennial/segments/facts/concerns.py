"""The words by which a mark says what it is about: events by name, traits by key, orders, the clock."""

ORDERS = frozenset({"orders"})
CLOCK = frozenset({"clock"})


def of_event(name: str) -> str:
    """An event of this name happened. No other word looks like it."""
    return f"e:{name}"


def of_trait(key: str) -> str:
    """The trait with this key, as `trait_key` spells it, was said."""
    return f"t:{key}"
