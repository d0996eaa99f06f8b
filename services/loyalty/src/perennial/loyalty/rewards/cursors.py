"""Cursors of lists that run from the newest back."""

from datetime import UTC, datetime
from uuid import UUID

from perennial.common.web.pages import PageRequest, bad_cursor


def seen(page: PageRequest) -> tuple[datetime, UUID] | None:
    """The moment and the id of the last item seen; None on the first page. Raises BadRequest."""
    if not page.after:
        return None
    try:
        at, last = page.after
        moment, after_id = datetime.fromisoformat(at), UUID(last)
        if moment.tzinfo is None:
            raise bad_cursor()
        return moment.astimezone(UTC), after_id
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise bad_cursor() from error
