"""Where a page of a list by `(created_at, id)` begins."""

from datetime import UTC, datetime

from perennial.common.web import BadRequest
from perennial.common.web.pages import PageRequest


def after_of(page: PageRequest) -> tuple[datetime, str] | None:
    """The last item seen; None on the first page. Raises BadRequest for a cursor of another list."""
    if not page.after:
        return None
    try:
        at, item_id = page.after
        return datetime.fromisoformat(at).astimezone(UTC), str(item_id).replace("\0", "")
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error


def before_of(page: PageRequest) -> int | None:
    """The last id seen in a list by descending id; None on the first page. Raises BadRequest."""
    if not page.after:
        return None
    (last,) = page.after if len(page.after) == 1 else (None,)
    if not isinstance(last, int) or isinstance(last, bool) or not 0 <= last < 2**63:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor")
    return last
