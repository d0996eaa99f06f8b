"""Where a page of a list by `(created_at, id)` begins."""

from datetime import UTC, datetime

from perennial.common.web.pages import PageRequest, bad_cursor


def after_of(page: PageRequest) -> tuple[datetime, str] | None:
    """The last item seen; None on the first page. Raises BadRequest for a cursor of another list."""
    if not page.after:
        return None
    try:
        at, item_id = page.after
        return datetime.fromisoformat(at).astimezone(UTC), str(item_id).replace("\0", "")
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_cursor() from error
