"""How a service tells what it holds about persons."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from perennial.common.privacy.common import HELD
from perennial.common.privacy.files import Files
from perennial.common.privacy.terms import Held, Searched


@dataclass(frozen=True)
class Privacy:
    """Every table of a schema: with a person's rows, or (`none`) with the reason why there are no such rows.

    In the order in which they are erased: what refers to a row before the row; at last the `files` of operations.
    """

    tables: Mapping[str, Held | Searched] = field(default_factory=dict)
    none: Mapping[str, str] = field(default_factory=dict)
    files: Files | None = None

    def all(self) -> dict[str, Held | Searched]:
        """The tables that hold something, those of common included."""
        return {**self.tables, **{name: found for name, found in HELD.items() if name not in self.tables}}
