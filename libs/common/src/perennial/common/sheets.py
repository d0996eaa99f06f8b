"""Tables as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv; charset=utf-8"
_FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")


def lines(rows: Iterable[Sequence[object]], *, bom: bool = False) -> str:
    """Rows as lines; an empty cell for None, and a text that a spreadsheet would reckon with stays a text."""
    held = io.StringIO("\ufeff" if bom else "")
    held.seek(0, io.SEEK_END)
    csv.writer(held).writerows([_cell(value) for value in row] for row in rows)
    return held.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
