"""HTTP: the application factory, problems, sessions, pages, idempotency."""

from perennial.common.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    Unauthorized,
    Unprocessable,
    documented,
)
from perennial.common.web.deps import Read, Write
from perennial.common.web.idempotency import Idempotent
from perennial.common.web.pages import Page, PageQuery, paged

__all__ = [
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Idempotent",
    "NotFound",
    "Page",
    "PageQuery",
    "PreconditionFailed",
    "PreconditionRequired",
    "Problem",
    "Read",
    "Unauthorized",
    "Unprocessable",
    "Write",
    "documented",
    "paged",
]
