"""What the demo is told by its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the platform is, the two development keys, and how much to do."""

    url: str
    write_key: str
    api_key: str
    home: Path
    orders: int | None
    leave: bool

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read PERENNIAL_URL, PERENNIAL_WRITE_KEY, PERENNIAL_API_KEY, PERENNIAL_HOME, ORDERS and EXIT.

        Raises SystemExit with one sentence when a value is missing or makes no sense.
        """
        orders = os.environ.get("ORDERS", "").strip()
        if orders and (not orders.isdigit() or int(orders) == 0):
            raise SystemExit(f"ORDERS must be a whole number above 0, not {orders!r}")
        return cls(
            url=_required("PERENNIAL_URL"),
            write_key=_required("PERENNIAL_WRITE_KEY"),
            api_key=_required("PERENNIAL_API_KEY"),
            home=Path(os.environ.get("PERENNIAL_HOME") or ".perennial"),
            orders=int(orders) if orders else None,
            leave=os.environ.get("EXIT", "") in {"1", "true", "yes"},
        )


def _required(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SystemExit(f"{name} is not set: start the demo with `make demo`")
    return value
