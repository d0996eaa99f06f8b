"""Cursors: what each reader takes, and that all else is answered alike."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from perennial.common.problems import BadRequest
from perennial.common.web import cursors
from perennial.common.web.cursors import PageRequest, decode_cursor, encode_cursor

ID, OTHER = "0190a0b0-0000-7000-8000-000000000001", "0190a0b0-0000-7000-8000-000000000002"
AT = "2026-03-01T12:00:00+08:00"

Reader = Callable[[PageRequest], Any]


def small(page: PageRequest) -> int | None:
    return cursors.last_number(page, cursors.LARGEST_INTEGER)


def line(page: PageRequest) -> tuple[date, str, UUID] | None:
    return cursors.last(page, cursors.day, cursors.text, cursors.uuid)


def page_after(key: list[Any]) -> PageRequest:
    return PageRequest(1, decode_cursor(encode_cursor(key)) if key else [], None, None)  # type: ignore[arg-type]


GOOD: list[tuple[Reader, list[Any], Any]] = [
    (cursors.last_text, ["生日/礼 %"], "生日/礼 %"),
    (cursors.last_text, [""], ""),
    (cursors.last_number, [0], 0),
    (cursors.last_number, [2**63 - 1], 2**63 - 1),
    (small, [2**31 - 1], 2**31 - 1),
    (cursors.last_id, [UUID(ID)], UUID(ID)),
    (cursors.last_moment, [AT, ID], (datetime(2026, 3, 1, 4, tzinfo=UTC), UUID(ID))),
    (cursors.last_moment, [datetime(2026, 3, 1, 4, tzinfo=UTC), ID], (datetime(2026, 3, 1, 4, tzinfo=UTC), UUID(ID))),
    (line, ["2026-03-01", "shop", ID], (date(2026, 3, 1), "shop", UUID(ID))),
]
BAD: dict[Reader, list[list[Any]]] = {
    cursors.last_text: [
        [1], [True], [None], [1.5], [["a"]], [{}], ["a", "b"], ["a\0"], ["\ud800"], ["a", 1],
    ],
    cursors.last_number: [
        [-1], [2**63], [10**30], ["1"], [True], [1, 2], [1.0], [math.inf], [None], [ID],
    ],
    small: [
        [-1], [2**31], [2**63 - 1], ["1"], [False], [1, 2], [1.0], [math.nan], [[1]], ["\0"],
    ],
    cursors.last_id: [
        ["x"], [1], [True], [""], [ID + "0"], [ID, ID], [10**30], [ID.replace("-", "\0")], [None], [AT],
    ],
    cursors.last_moment: [
        [AT], [AT, ID, ID], [ID, AT], ["2026-03-01T12:00:00", ID], ["2026-03-01", ID], [1772366400, ID], [AT, 1],
        ["9999-12-31T23:59:59-23:00", ID], ["0001-01-01T00:00:00+23:00", ID], [AT, "x"],
    ],
    line: [
        ["2026-03-01", "shop"], ["2026-03-01", "shop", ID, ID], ["2026-02-30", "shop", ID], [AT, "shop", ID],
        [20260301, "shop", ID], ["2026-03-01", 7, ID], ["2026-03-01", "a\0", ID], ["2026-03-01", "shop", "x"],
        ["2026-03-01", None, ID], ["", "", ""],
    ],
}  # fmt: skip


@pytest.mark.parametrize(("read", "key", "last"), GOOD)
def test_what_the_last_page_wrote_is_read(read: Reader, key: list[Any], last: Any) -> None:
    assert read(page_after(key)) == last


@pytest.mark.parametrize("read", BAD)
def test_the_first_page_has_no_last_item(read: Reader) -> None:
    assert read(page_after([])) is None


@pytest.mark.parametrize(("read", "key"), [(read, key) for read, keys in BAD.items() for key in keys])
def test_any_other_cursor_is_refused_alike(read: Reader, key: list[Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        read(page_after(key))
    said = refused.value
    assert (said.status, said.code, said.detail) == (400, "bad_cursor", "cursor: not a cursor of this list")
    assert [error.pointer for error in said.errors] == ["query/cursor"]
