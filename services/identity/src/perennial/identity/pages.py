"""Cursors of lists that are ordered by id."""

from uuid import UUID

from perennial.common.problems import BadRequest
from perennial.common.web.pages import PageRequest


def last_id(page: PageRequest) -> UUID | None:
    """The id after which a page begins. Raises BadRequest for a cursor of another list."""
    try:
        return UUID(str(page.after[0])) if page.after else None
    except ValueError as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error
