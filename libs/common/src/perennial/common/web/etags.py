"""ETag and If-Match on mutable resources: the version is the tag."""

from typing import Annotated

from fastapi import Depends, Header, Response

from perennial.common.problems import BadRequest, PreconditionFailed, PreconditionRequired


def tag(response: Response, version: int) -> None:
    """Set the strong ETag of a version."""
    response.headers["ETag"] = f'"{version}"'


LONGEST = 18


async def _if_match(if_match: Annotated[str | None, Header()] = None) -> int | None:
    if if_match is None:
        raise PreconditionRequired("If-Match is required", pointer="header/If-Match")
    if if_match.strip() == "*":
        return None
    value = if_match.strip().strip('"')
    if not value.isascii() or not value.isdigit() or len(value) > LONGEST:
        raise BadRequest("If-Match is not an ETag of this resource", pointer="header/If-Match")
    return int(value)


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that the client last saw; None for `*`. Missing is 428."""


def match(expected: int | None, actual: int) -> None:
    """Raises PreconditionFailed when somebody has changed the resource meanwhile."""
    if expected is not None and expected != actual:
        raise PreconditionFailed(f"If-Match: the version is {actual}, not {expected}", pointer="header/If-Match")
