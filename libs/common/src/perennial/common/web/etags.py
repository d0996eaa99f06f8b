"""ETag and If-Match on mutable resources: the version is the tag."""

from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from perennial.common.problems import BadRequest, PreconditionFailed, PreconditionRequired


def tag(response: Response, version: int) -> None:
    """Set the strong ETag of a version."""
    response.headers["ETag"] = f'"{version}"'


LONGEST = 18
PATTERN = r'^(\*|"[0-9]{1,18}"|[0-9]{1,18})$'
NEW = -1
_ABOUT = "The ETag last seen, or `*`."
_LIMITS: dict[str, Any] = {"pattern": PATTERN, "examples": ["*"]}


async def _seen(
    if_match: Annotated[str | None, Header(description=_ABOUT, json_schema_extra=_LIMITS)] = None,
) -> int | None:
    if if_match is None:
        return None
    return _version(if_match)


async def _if_match(
    request: Request,
    if_match: Annotated[
        str | None, Header(description=_ABOUT, json_schema_extra={**_LIMITS, "x-required": True})
    ] = None,
) -> int | None:
    if request.headers.get("if-none-match", "").strip() == "*":
        raise PreconditionFailed("If-None-Match: this changes what exists", pointer="header/If-None-Match")
    return _required(if_match)


def _required(if_match: str | None) -> int | None:
    if if_match is None:
        raise PreconditionRequired("If-Match is required", pointer="header/If-Match")
    return _version(if_match)


def _version(if_match: str) -> int | None:
    value = if_match.strip()
    if value == "*":
        return None
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not value.isascii() or not value.isdigit() or len(value) > LONGEST:
        raise BadRequest("If-Match is not an ETag of this resource", pointer="header/If-Match")
    return int(value)


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that the client last saw; None for `*`. Missing is 428."""

Seen = Annotated[int | None, Depends(_seen)]
"""The version that the client last saw, if it says so."""


async def _if_match_or_new(
    if_match: Annotated[str | None, Header(description=_ABOUT, json_schema_extra=_LIMITS)] = None,
    if_none_match: Annotated[
        str | None, Header(description="`*`: create, never replace.", json_schema_extra={"enum": ["*"]})
    ] = None,
) -> int | None:
    if if_none_match is None:
        return _required(if_match)
    if if_none_match.strip() != "*":
        raise BadRequest("If-None-Match must be *", pointer="header/If-None-Match")
    if if_match is not None:
        raise PreconditionFailed("If-Match: what exists already is not new", pointer="header/If-Match")
    return NEW


IfMatchOrNew = Annotated[int | None, Depends(_if_match_or_new)]
"""The version that the client last saw, None for `*`, NEW for `If-None-Match: *`. Without either it is 428."""


def match(expected: int | None, actual: int) -> None:
    """Raises PreconditionFailed when somebody has changed the resource meanwhile, or when it should be new."""
    if expected == NEW:
        raise PreconditionFailed(f"If-None-Match: it exists, in version {actual}", pointer="header/If-None-Match")
    if expected is not None and expected != actual:
        raise PreconditionFailed(f"If-Match: the version is {actual}, not {expected}", pointer="header/If-Match")
