"""The recipe of the images, and what the manifests take for granted of it."""

import re
from pathlib import Path

from deploy.images import build
from deploy.images.storage import ROOT
from perennial.common import service as services
from tests.k8s.rules.pods import USER
from tests.k8s.world import World, production

HERE = Path(build.__file__).parent
RECIPES = {name: (HERE / name).read_text() for name in ("common.Containerfile", "Containerfile")}
INSTALL = (HERE / "install.sh").read_text()


def test_an_image_runs_as_the_user_of_the_pods() -> None:
    assert re.findall(r"^USER (.*)$", "".join(RECIPES.values()), re.MULTILINE) == [f"{USER}:{USER}"]


def test_the_first_process_passes_signals_on() -> None:
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "python", "-m"]' in RECIPES["common.Containerfile"]
    assert {pods.box["args"][0].split(".")[0] for pods in World(production()).pods()} == {"perennial"}


def test_nothing_is_fetched_and_nothing_is_built_from_source() -> None:
    installs = re.findall(r"^uv pip install.*$", INSTALL, re.MULTILINE)
    assert len(installs) == 1
    assert {"--no-index", "--no-deps"} <= set(installs[0].split())
    for recipe in RECIPES.values():
        assert recipe.count("--require-hashes") == 1
        assert "UV_OFFLINE=1" in recipe
        assert "pip install" not in recipe


def test_what_built_an_image_is_not_in_it() -> None:
    final = {name: recipe.rpartition("\nFROM ")[2] for name, recipe in RECIPES.items()}
    copied = {name: re.findall(r"^(?:COPY|ADD|RUN) .*$", text, re.MULTILINE) for name, text in final.items()}
    assert copied == {
        "common.Containerfile": ["COPY --from=build /app /app"],
        "Containerfile": ["COPY --from=build /own /app/lib/python3.11/site-packages"],
    }


def test_every_service_has_an_image() -> None:
    assert sorted(build.services()) == services.names()
    assert all((build.member(name) / "pyproject.toml").is_file() for name in services.names())


def test_nothing_is_left_out_that_the_code_imports() -> None:
    patterns = [line for line in (HERE / "unused.txt").read_text().splitlines() if not line.startswith("#")]
    assert patterns
    assert all("/" in pattern and not pattern.startswith(("/", ".")) for pattern in patterns)
    modules = {pattern.replace("/", ".") for pattern in patterns if "*" not in pattern}
    sources = [*ROOT.glob("libs/common/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    imported = {
        name for path in sources for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE)
    }
    assert not modules & imported
