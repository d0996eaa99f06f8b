"""PERENNIAL_HOME: where data, logs, keys and the state of one platform live."""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[5]


@dataclass(frozen=True)
class Home:
    """The files below one folder."""

    path: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """PERENNIAL_HOME, else `.perennial` in the checkout (in the current folder, when there is none)."""
        root = CHECKOUT if (CHECKOUT / "Makefile").exists() else Path.cwd()
        return cls(Path(os.environ.get("PERENNIAL_HOME") or root / ".perennial").resolve())

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets.json"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def make(self) -> None:
        """Create the folders."""
        for folder in (self.path, self.path / "logs", self.temporary):
            folder.mkdir(parents=True, exist_ok=True)

    def rotate_logs(self) -> None:
        """Keep the logs of the run before this one as `<name>.log.1`."""
        for log in (self.path / "logs").glob("*.log"):
            if log.name != "up.log":
                log.replace(log.with_suffix(".log.1"))
