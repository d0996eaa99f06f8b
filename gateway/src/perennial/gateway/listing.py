"""Where a page of a list by `(created_at, id)` begins."""

from datetime import datetime

from perennial.common.web import cursors
from perennial.common.web.cursors import PageRequest


def after_of(page: PageRequest) -> tuple[datetime, str] | None:
    """The last item seen; None on the first page. Raises BadRequest for a cursor of another list."""
    return cursors.last(page, cursors.moment, cursors.text)
