"""Where a page begins."""

from uuid import UUID

from perennial.common.web.pages import PageRequest, bad_cursor


def last_key(page: PageRequest) -> str:
    """The key after which a page begins; empty for the first."""
    return str(page.after[0]) if page.after else ""


def last_id(page: PageRequest) -> UUID | None:
    """The id after which a page begins. Raises BadRequest."""
    try:
        return UUID(str(page.after[0])) if page.after else None
    except ValueError as error:
        raise bad_cursor() from error


def last_number(page: PageRequest) -> int:
    """The number after which a page begins; 0 for the first. Raises BadRequest."""
    number = page.after[0] if page.after else 0
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        raise bad_cursor()
    return number
