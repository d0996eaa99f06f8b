"""The archive: JSON and CSV of every section, and a manifest with their checksums."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from perennial.common import sheets

ABOUT = """What is held about one person, by every service of the platform.

<service>/<section>.json  the rows as they are stored, all of them, with exact numbers as text
<service>/<section>.csv   the same as a table; nested values are JSON
manifest.json             every file with its rows and its SHA-256

Times are in UTC. `via` is the id of the identifier under which something was noted (identity/identifier.json).
"""


class Archive:
    """A zip file while it is written."""

    def __init__(self, file: BinaryIO, customer: str, made_at: datetime) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._files: list[dict[str, Any]] = []
        self._about = {"customer_id": customer, "made_at": made_at.isoformat(), "format": 1}

    def add(self, service: str, section: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one section both ways."""
        whole = json.dumps(rows, ensure_ascii=False, indent=1)
        self._write(f"{service}/{section}.json", whole.encode(), len(rows))
        self._write(f"{service}/{section}.csv", table(rows).encode(), len(rows))

    def _write(self, name: str, data: bytes, rows: int) -> None:
        self._zip.writestr(name, data)
        digest = hashlib.sha256(data).hexdigest()
        self._files.append({"name": name, "rows": rows, "bytes": len(data), "sha256": digest})

    def close(self) -> list[dict[str, Any]]:
        """Write the manifest; returns its files."""
        self._zip.writestr("README.txt", ABOUT)
        self._zip.writestr("manifest.json", json.dumps({**self._about, "files": self._files}, indent=1))
        self._zip.close()
        return self._files


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a mark that it is UTF-8; a text that a spreadsheet would take for a formula is made a text."""
    held = list(rows)
    names = list(dict.fromkeys(name for row in held for name in row))
    return sheets.lines([names, *([_cell(row.get(name)) for name in names] for row in held)], bom=True)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
