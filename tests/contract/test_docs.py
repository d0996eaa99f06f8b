"""Documents: every link leads to a file, and the event catalogue is the code's."""

import re
from pathlib import Path

import pytest

from tests.contract.catalogue import COMMAND, FILE, write

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = {(path, anchor) for path, anchor in LINK.findall(FENCE.sub("", document.read_text())) if ":" not in path}
    missing = sorted(f"{path}#{anchor}" for path, anchor in links if not _leads(document, path, anchor))
    assert not missing, f"{document.name} points to what is not there"


def test_every_failure_names_a_test_that_is_there() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\|.*\]\(\.\./([^)]*)\) `(test_\w+)` \|$", guide, re.MULTILINE)
    assert len(rows) > 10
    missing = [name for path, name in rows if f"def {name}(" not in (ROOT / path).read_text()]
    assert not missing


def _leads(document: Path, path: str, anchor: str) -> bool:
    target = document.parent / path if path else document
    return target.exists() and (not anchor or anchor in _anchors(target.read_text()))


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_event_catalogue_is_up_to_date() -> None:
    assert FILE.read_text() == write(), f"the contracts or reactions changed: run `{COMMAND}` and commit docs/events.md"


def test_both_readmes_tell_the_same() -> None:
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    assert _shape(chinese) == _shape(english), "the two READMEs differ in headings, links or commands"


def _shape(text: str) -> tuple[list[str], set[str], list[str]]:
    """Levels of headings, targets of links, and what can be typed."""
    code = [re.sub(r"\s*#.*", "", block) for block in FENCE.findall(text) if block.startswith("```sh")]
    levels = re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)
    targets = {path for path, _ in LINK.findall(text) if not path.startswith("README")}
    return levels, targets, code
