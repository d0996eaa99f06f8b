"""Errors as RFC 9457 problems, with the `code` and `message` that tracking SDKs read."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from perennial.common.failures import is_infrastructure
from perennial.common.ids import uuid7

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "urn:perennial:problem:"


class FieldError(BaseModel):
    """One thing that is wrong, and where: a JSON pointer into the body, or `query/<name>`."""

    pointer: str
    detail: str
    code: str


class ProblemBody(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    message: str
    success: bool = False
    errors: list[FieldError] = []


class Problem(Exception):  # noqa: N818 (the RFC's name)
    """An error with its status. Subclasses fix the status; `code` is stable, `detail` names the field.

    `type` is a URI, by default made of the code; `members` are further members of the body.
    """

    status: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        pointer: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        type: str | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code or self.code
        self.type = type or TYPE_BASE + self.code.replace("_", "-")
        self.members = dict(members or {})
        self.detail = detail or HTTPStatus(self.status).phrase
        self.headers = dict(headers or {})
        self.errors = list(errors)
        if pointer is not None:
            self.errors.append(FieldError(pointer=pointer, detail=self.detail, code=self.code))


class BadRequest(Problem):
    """400."""

    status, code = 400, "bad_request"


class Unauthorized(Problem):
    """401."""

    status, code = 401, "unauthorized"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers.setdefault("WWW-Authenticate", 'Bearer error="invalid_token"')


class Forbidden(Problem):
    """403."""

    status, code = 403, "forbidden"


class NotFound(Problem):
    """404."""

    status, code = 404, "not_found"


class Conflict(Problem):
    """409."""

    status, code = 409, "conflict"


class PreconditionFailed(Problem):
    """412."""

    status, code = 412, "precondition_failed"


class ContentTooLarge(Problem):
    """413."""

    status, code = 413, "payload_too_large"


class UnsupportedMediaType(Problem):
    """415."""

    status, code = 415, "unsupported_media_type"


class Unprocessable(Problem):
    """422."""

    status, code = 422, "unprocessable"


class PreconditionRequired(Problem):
    """428."""

    status, code = 428, "precondition_required"


class Unavailable(Problem):
    """503, with Retry-After."""

    status, code = 503, "unavailable"

    def __init__(self, detail: str = "", *, retry_after: int = 5, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers["Retry-After"] = str(retry_after)


def respond(problem: Problem) -> JSONResponse:
    """The response for a problem; its `instance` is the id of the request, by which the logs find it too."""
    title = HTTPStatus(problem.status).phrase
    body = ProblemBody(
        type=problem.type,
        title=title,
        status=problem.status,
        detail=problem.detail,
        instance=f"/requests/{structlog.contextvars.get_contextvars().get('request_id') or uuid7()}",
        code=problem.code,
        message=problem.detail,
        errors=problem.errors,
    )
    content = {**problem.members, **body.model_dump(exclude=None if problem.errors else {"errors"})}
    return JSONResponse(content, problem.status, problem.headers, media_type=MEDIA_TYPE)


def _pointer(location: Sequence[str | int]) -> str:
    where, *rest = [str(part) for part in location] or [""]
    if where == "body":
        return "/" + "/".join(rest) if rest else ""
    return "/".join([where, *rest])


def _invalid(error: RequestValidationError) -> Problem:
    errors = [
        FieldError(pointer=_pointer(item["loc"]), detail=item["msg"], code=item["type"]) for item in error.errors()
    ]
    if any(item.code == "json_invalid" for item in errors):
        return BadRequest("body is not valid JSON", code="invalid_json", errors=errors)
    detail = "; ".join(f"{item.pointer.strip('/') or 'body'}: {item.detail}" for item in errors)
    return Unprocessable(detail, code="invalid_request", errors=errors)


def surprised(path: str, error: Exception) -> JSONResponse:
    """The response for an error that nobody expected, which is logged."""
    if is_infrastructure(error):
        log.warning("request.unavailable", path=path, error=repr(error))
        return respond(Unavailable("a part of the platform is not available, try again"))
    log.error("request.failed", path=path, exc_info=error)
    return respond(Problem("an unexpected error; it has been logged"))


def install(app: FastAPI) -> None:
    """Answer every error as a problem, also those nobody expected."""

    async def on_problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101 (registered for it)
        return respond(error)

    async def on_invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return respond(_invalid(error))

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        problem = Problem(str(error.detail), code=HTTPStatus(error.status_code).name.lower(), headers=error.headers)
        problem.status = error.status_code  # type: ignore[misc]
        return respond(problem)

    async def on_surprise(request: Request, error: Exception) -> JSONResponse:
        return surprised(request.url.path, error)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_surprise)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` for routes: 401, 403, 422 and those given, as problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for status in sorted({401, 403, 422, *statuses})
    }
