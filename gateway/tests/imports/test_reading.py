"""Files as they come: encodings, quotes, ragged and endless lines, and reading on where one stopped."""

import csv
import io
import random
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common.problems import Unprocessable
from perennial.gateway.imports import encodings, reading
from perennial.gateway.imports.reading import LONGEST, Record, Records, delimiter_of
from perennial.gateway.imports.suggesting import suggested

TEXT = "姓名,email\n张伟,zw@example.com\n"


async def records(data: bytes, delimiter: str = ",", part: int = 1 << 20, *, again: bool = False) -> list[Record]:
    """Every record; `again` begins afresh after each, as a step that was killed does."""

    async def read(at: int) -> bytes:
        return data[at : at + part]

    found, source = [], Records(read, delimiter)
    while (record := await source.next()) is not None:
        found.append(record)
        if again:
            source = Records(read, delimiter, source.at, source.line)
    return found


async def text_of(file: BinaryIO, name: str) -> bytes:
    return b"".join([part async for part in encodings.transcoded(file, name)])


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gbk", "gb18030"), ("utf-16", "utf-16"), ("gb18030", "gb18030")],
)
async def test_an_encoding_is_told_by_the_file(encoding: str, name: str) -> None:
    file = io.BytesIO(TEXT.replace("\n", "\r\n").encode(encoding))
    assert encodings.detected(file) == name
    assert await text_of(file, name) == TEXT.encode()


async def test_an_encoding_that_is_stated_and_does_not_fit_is_refused() -> None:
    file = io.BytesIO(b"name\n\xff\xfe\xff\n")
    with pytest.raises(Unprocessable, match="encoding"):
        encodings.detected(io.BytesIO(b"a,\x81\n"))
    with pytest.raises(Unprocessable, match="not utf-8"):
        await text_of(file, "utf-8")
    with pytest.raises(Unprocessable, match="not utf-16le"):
        await text_of(io.BytesIO(b"abc"), "utf-16le")
    assert await text_of(io.BytesIO("é".encode("cp1252")), "windows-1252") == "é".encode()
    assert await text_of(io.BytesIO("\ufeffa".encode("utf-16-le")), "utf-16le") == b"a"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.text("ab,\"\n é张;'\t", max_size=6), min_size=1, max_size=4), max_size=8),
    st.sampled_from([3, 64, 1 << 20]),
)
async def test_what_is_written_as_csv_is_read_again_from_any_record_on(rows: list[list[str]], part: int) -> None:
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows(rows)
    data = held.getvalue().encode()
    expected = [row for row in csv.reader(io.StringIO(held.getvalue(), newline="")) if row]
    found = await records(data, part=part, again=True)
    assert [record.cells for record in found] == expected
    assert found == await records(data)


async def test_lines_are_counted_through_cells_of_several() -> None:
    found = await records(b'a,b\n"x\ny",1\n\n\n2,3\n')
    assert [(record.line, record.cells) for record in found] == [(1, ["a", "b"]), (2, ["x\ny", "1"]), (6, ["2", "3"])]


async def test_a_quote_that_never_ends_costs_its_own_line_only() -> None:
    rest = b"".join(b"%d,x\n" % n for n in range(500))
    for tail in (b"", rest):
        found = await records(b'a,b\n1,"open\n2,y\n' + tail, again=True)
        assert (found[1].line, found[1].fault) == (2, "a quote is opened and never closed")
        assert [record.cells for record in found[2:3]] == [["2", "y"]]
        assert len(found) == 3 + tail.count(b"\n")


async def test_a_stray_quote_a_huge_cell_and_an_endless_line_are_faults_of_their_lines() -> None:
    huge = b"x" * (10 * 1024 * 1024)
    data = b'a,b\n"1"x,2\n' + huge + b",1\n3,4\n" + b'"' + b"y" * 200_000 + b'",2\n5,6\n' + huge
    for again in (False, True):
        found = await records(data, again=again)
        assert [(record.line, bool(record.fault)) for record in found] == [
            (1, False), (2, True), (3, True), (4, False), (5, True), (6, False), (7, True),
        ]  # fmt: skip
    assert len(huge) > LONGEST


async def test_random_bytes_end() -> None:
    chance = random.Random(7)
    for _ in range(30):
        data = bytes(chance.choice(b'",\n a\0') for _ in range(chance.randrange(400)))
        assert await records(data, part=17) == await records(data, again=True)


@pytest.mark.parametrize(
    ("head", "delimiter"), [(b"a;b;c\n", ";"), (b'"a,b,c,d"\tx\ty', "\t"), (b"a|b", "|"), (b"only", ","), (b"", ",")]
)
def test_the_delimiter_is_told_by_the_header(head: bytes, delimiter: str) -> None:
    assert delimiter_of(head) == delimiter
    assert delimiter in reading.DELIMITERS


def test_columns_are_known_by_their_names() -> None:
    found = suggested(["客户编号", "手机号", "E-Mail", "姓名", "出生日期", "Favourite Colour", "mobile", " "])
    assert found is not None
    assert [(column.column, column.kind or column.key, column.type) for column in found.columns] == [
        (1, "user_id", "string"), (2, "phone", "string"), (3, "email", "string"), (4, "name", "string"),
        (5, "birthday", "date"), (6, "favourite_colour", "string"),
    ]  # fmt: skip
    assert suggested(["colour", "size"]) is None


async def test_blank_lines_are_passed_over_at_once_and_no_further_than_asked() -> None:
    data = b"a,b\n" + b"\n" * 20_000_000 + b"1,2\n"
    asked = 0

    async def read(at: int) -> bytes:
        nonlocal asked
        asked += 1
        return data[at : at + (1 << 20)]

    source = Records(read, ",")
    assert await source.next() == Record(1, ["a", "b"])
    assert await source.next(1 << 20) is None
    assert (source.at, source.line, source.ended, asked) == (1 << 20, (1 << 20) - 2, False, 1)
    assert await source.next() == Record(20_000_002, ["1", "2"])
    assert (await source.next(), source.ended) == (None, True)
