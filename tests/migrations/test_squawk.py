"""squawk finds nothing in a migration but what is excused, with a reason, by its rule or its revision."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perennial.common import service as services
from tests.migrations.excused import EXCUSED
from tests.migrations.spoken import spoken

ROOT = Path(__file__).parents[2]


def found(folder: Path) -> dict[str, set[str]]:
    """Rules that the SQL files of a folder break, by file."""
    squawk = str(Path(sys.executable).with_name("squawk"))
    files = [str(path) for path in sorted(folder.glob("*.sql"))]
    argv = (squawk, "--config", str(ROOT / ".squawk.toml"), "--reporter", "json", *files)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    broken: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout):
        broken.setdefault(Path(finding["file"]).stem, set()).add(finding["rule_name"])
    return broken


@pytest.mark.parametrize("name", services.names())
def test_a_migration_holds_up_nobody(name: str, tmp_path: Path) -> None:
    said = spoken(name)
    for revision, statements in said.items():
        (tmp_path / f"{revision}.sql").write_text(statements)
    excused = {key.partition("/")[2]: rules for key, (rules, _) in EXCUSED.items() if key.startswith(f"{name}/")}
    assert found(tmp_path) == {revision: rules for revision, rules in excused.items() if revision in said}
    assert excused.keys() <= said.keys()


def test_squawk_sees_what_it_is_run_for(tmp_path: Path) -> None:
    (tmp_path / "0009.sql").write_text(
        "CREATE INDEX ix ON customer (id);\n"
        "ALTER TABLE customer ALTER COLUMN id TYPE text;\n"
        "ALTER TABLE customer DROP COLUMN x;\n"
    )
    assert found(tmp_path) == {"0009": {"require-concurrent-index-creation", "changing-column-type", "ban-drop-column"}}


def test_every_rule_that_is_excluded_has_its_reason() -> None:
    listed = re.findall(r'^    "[a-z-]+",(.*)$', (ROOT / ".squawk.toml").read_text(), re.MULTILINE)
    assert listed
    assert all(re.match(r" +# \S+", rest) for rest in listed)
