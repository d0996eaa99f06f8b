"""The recipe of the images, and what the manifests take for granted of it."""

import re
from pathlib import Path

from deploy.images import build
from perennial.common import service as services
from tests.k8s.rules.pods import USER
from tests.k8s.world import World, production

RECIPE = (Path(build.__file__).parent / "Containerfile").read_text()
FINAL = RECIPE.rpartition("\nFROM ")[2]


def test_an_image_runs_as_the_user_of_the_pods() -> None:
    assert re.findall(r"^USER (.*)$", RECIPE, re.MULTILINE) == [f"{USER}:{USER}"]


def test_the_first_process_passes_signals_on() -> None:
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "python", "-m"]' in FINAL
    assert {pods.box["args"][0].split(".")[0] for pods in World(production()).pods()} == {"perennial"}


def test_nothing_is_fetched_and_nothing_is_built_from_source() -> None:
    installs = re.findall(r"uv pip install[^&]*", RECIPE)
    assert len(installs) == 2
    assert all("--no-index" in one and "--no-deps" in one for one in installs)
    assert "--require-hashes" in installs[0]
    assert "UV_OFFLINE=1" in RECIPE


def test_what_built_an_image_is_not_in_it() -> None:
    assert re.findall(r"^(?:COPY|ADD|RUN) .*$", FINAL, re.MULTILINE) == ["COPY --from=build /app /app"]


def test_every_service_has_an_image() -> None:
    assert sorted(build.services()) == services.names()
    assert all((build.member(name) / "pyproject.toml").is_file() for name in services.names())


def test_nothing_is_left_out_that_the_code_imports() -> None:
    patterns = [line for line in (build.HERE / "unused.txt").read_text().splitlines() if not line.startswith("#")]
    assert patterns
    assert all("/" in pattern and not pattern.startswith(("/", ".")) for pattern in patterns)
    modules = {pattern.replace("/", ".") for pattern in patterns if "*" not in pattern}
    sources = [*build.ROOT.glob("libs/common/src/**/*.py"), *build.ROOT.glob("services/*/src/**/*.py")]
    imported = {
        name for path in sources for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE)
    }
    assert not modules & imported
