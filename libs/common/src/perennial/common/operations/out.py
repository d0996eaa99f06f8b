"""What is shown of an operation."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from perennial.common import masks, prose
from perennial.common.auth import Principal

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class FileOut(BaseModel):
    """A file of an operation, to be had at `…/files/{name}`."""

    name: str
    media_type: str
    bytes: int


class ErrorOut(BaseModel):
    """Why an operation failed, as a problem says it."""

    model_config = ConfigDict(extra="allow")

    title: str
    status: int
    code: str
    detail: str


class OperationOut(BaseModel):
    """Work that takes a while. `done` of `total` is in units of its kind; `total` is null while nobody knows.

    It and its files are kept until `expires_at`. `input` and `files` are shown to who started it only.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    state: State
    cancelling: bool = False
    who: str
    input: dict[str, Any] | None
    done: int = 0
    total: int | None = None
    result: dict[str, Any] | None = None
    error: ErrorOut | None = None
    files: list[FileOut] = []
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    def seen_by(self, principal: Principal) -> Self:
        """The same as somebody may see it: all of it if it is their own."""
        if self.who == name_of(principal):
            return self
        error = self.error and ErrorOut(**_masked(principal, self.error.model_dump()))
        result = self.result and _masked(principal, self.result)
        return self.model_copy(update={"input": None, "files": [], "error": error, "result": result})


def name_of(principal: Principal) -> str:
    """Who somebody is, as rows bear it."""
    return f"{principal.kind}:{principal.id}"


def _masked(principal: Principal, held: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = prose.within(principal, masks.properties(principal, dict(held)))
    return found
