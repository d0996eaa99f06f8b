"""The archive holds every row both ways, and the manifest's checksums are those of its files."""

import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from perennial.gateway.privacy.archive import Archive, table

ROWS: list[dict[str, Any]] = [
    {"key": "email", "value": {"a": ["中", 1]}, "count": 3},
    {"key": "=1+1", "value": None, "count": 4, "more": True},
]


def test_every_row_is_there_both_ways_with_its_checksum() -> None:
    file = io.BytesIO()
    archive = Archive(file, "c1", datetime(2026, 5, 1, tzinfo=UTC))
    archive.add("profile", "trait", ROWS)
    archive.add("tickets", "ticket", [])
    archive.close()
    with zipfile.ZipFile(file) as read:
        manifest = json.loads(read.read("manifest.json"))
        assert {row["name"]: row["rows"] for row in manifest["files"]} == {
            "profile/trait.json": 2, "profile/trait.csv": 2, "tickets/ticket.json": 0, "tickets/ticket.csv": 0,
        }  # fmt: skip
        for row in manifest["files"]:
            assert hashlib.sha256(read.read(row["name"])).hexdigest() == row["sha256"]
        assert json.loads(read.read("profile/trait.json")) == ROWS
        assert "Times are in UTC" in read.read("README.txt").decode()


def test_a_spreadsheet_reads_texts_as_texts() -> None:
    read = list(csv.DictReader(io.StringIO(table(ROWS).removeprefix("\ufeff"))))
    assert read == [
        {"key": "email", "value": '{"a": ["中", 1]}', "count": "3", "more": ""},
        {"key": "'=1+1", "value": "", "count": "4", "more": "true"},
    ]


@pytest.mark.parametrize("said", [" =1+1", "＝1+1", "\n@a"], ids=ascii)
def test_nor_is_a_formula_hidden_from_it(said: str) -> None:
    [read] = csv.DictReader(io.StringIO(table([{"key": said}]).removeprefix("\ufeff"), newline=""))
    assert read == {"key": f"'{said}"}
