"""What a later run must know to shift the dates alike and to do nothing twice."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from perennial.demo.client import Json
from perennial.demo.dataset import LAST_DAY, ZONE

FILE = "demo-anchor.json"
# Identity knows a repeated message for 35 days; an import is not sent again after this long.
REPEATABLE = timedelta(days=30)


@dataclass
class State:
    """The anchor, and what earlier runs did; each thing is written before the requests it stands for.

    `carts`, `refunds` and `returned` are the shoppers of the live traffic as they were chosen (a larger
    load would choose others), `lapsed` the households on the win-back, `spent` points by household.
    """

    home: Path
    shift_days: int
    orders: int = 0
    loaded_at: str | None = None
    live_at: str | None = None
    returned_at: str | None = None
    carts: list[Json] = field(default_factory=list)
    refunds: list[Json] = field(default_factory=list)
    returned: list[Json] = field(default_factory=list)
    lapsed: list[int] | None = None
    spent: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, now: datetime | None = None) -> Self:
        """The state kept in `home`; a new one makes the last day of the data yesterday."""
        path = home / FILE
        if path.exists():
            return cls(home=home, **json.loads(path.read_text()))
        today = (now or datetime.now(UTC)).astimezone(ZONE).date()
        state = cls(home, (today - timedelta(days=1) - LAST_DAY).days)
        state.save()
        return state

    def save(self) -> None:
        """Replace the file at once: a kill leaves the old or the new one."""
        self.home.mkdir(parents=True, exist_ok=True)
        content = {name: value for name, value in asdict(self).items() if name != "home"}
        draft = self.home / f"{FILE}.new"
        draft.write_text(json.dumps(content, indent=1))
        draft.replace(self.home / FILE)

    def repeatable(self, now: datetime) -> bool:
        """Whether the platform still recognises a repeated import."""
        return self.loaded_at is None or now - datetime.fromisoformat(self.loaded_at) < REPEATABLE
