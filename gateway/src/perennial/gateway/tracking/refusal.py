"""Why a request or an event is not accepted."""

from collections.abc import Mapping
from typing import NamedTuple

RETRY_SECONDS = 5
REJECTED, ALLOWED, OMITTED = "rejected", "allowed", "omitted"  # what became of an event that broke a rule


class Refusal(Exception):  # noqa: N818 - it reads as what it is: `raise Refusal(...)`
    """The whole request is refused; `code` is stable, `message` is for people and names the field."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    @property
    def retry_after(self) -> int | None:
        """Seconds until another attempt makes sense; None when it never will."""
        return RETRY_SECONDS if self.status in (429, 503) else None


class Rejection(NamedTuple):
    """One event of a request is refused; its neighbours are not."""

    at: int
    message_id: str | None
    code: str
    message: str
    raw: bytes
