"""What is rendered keeps every rule, follows from the code, and changes only on purpose."""

from pathlib import Path

import pytest

from deploy.k8s.generate.dependencies import COMMAND, ROOT
from deploy.k8s.generate.files import generated
from perennial.common import service as services
from tests.k8s.golden import COMMAND as GOLDEN
from tests.k8s.golden import golden
from tests.k8s.rules import check
from tests.k8s.world import OVERLAYS, World, objects_of


@pytest.mark.parametrize("overlay", sorted(OVERLAYS))
def test_an_overlay_keeps_every_rule(overlay: str) -> None:
    assert not list(check(World(objects_of(overlay), production=overlay == "prod")))


def test_generated_files_follow_from_the_code() -> None:
    stale = [path for path, text in generated().items() if _read(ROOT / path) != text]
    assert not stale, f"settings, reactions or the dependency map have changed: run `{COMMAND}`"


def test_production_changes_only_on_purpose() -> None:
    stale = [path.name for path, text in golden().items() if _read(path) != text]
    assert not stale, f"what production would apply has changed: run `{GOLDEN}`, and read the difference"


def test_every_service_has_its_folders() -> None:
    for parent in ("base/services", "prepare/services"):
        assert sorted(path.name for path in (ROOT / parent).iterdir()) == services.names(), parent


def test_components_are_all_used() -> None:
    written = "".join(path.read_text() for path in ROOT.glob("overlays/prod/**/kustomization.yaml"))
    unused = [path.name for path in (ROOT / "components").iterdir() if f"components/{path.name}\n" not in written]
    assert not unused


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
