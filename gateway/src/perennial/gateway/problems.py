"""Problems whose status is known only when they are made."""

from collections.abc import Mapping

from perennial.common.problems import Problem


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """A problem with any status."""
    made = Problem(detail, code=code, headers=headers)
    made.status = status  # type: ignore[misc]
    return made
