"""Which violations of a source are asked for."""

from datetime import datetime
from typing import NamedTuple


class Filter(NamedTuple):
    """Every part that is not None must hold."""

    code: str | None = None
    name: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    replayed: bool | None = None
