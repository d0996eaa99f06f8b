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
    UnsupportedMediaType,
    documented,
)
from perennial.common.web.cursors import PageQuery
from perennial.common.web.deps import Read, Write
from perennial.common.web.idempotency import Idempotent, Repeatable
from perennial.common.web.pages import Page, paged

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
    "Repeatable",
    "Unauthorized",
    "Unprocessable",
    "UnsupportedMediaType",
    "Write",
    "documented",
    "paged",
]
