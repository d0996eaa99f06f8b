"""How deep JSON is nested: services read it with recursion, Postgres too."""

from typing import Any

MAX_DEPTH = 64


def too_deep(value: dict[str, Any], levels: int = MAX_DEPTH) -> bool:
    """Whether an object has more than `levels` levels of objects and arrays, itself being the first."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
