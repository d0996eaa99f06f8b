"""What production applies, kept in git: `python -m tests.k8s.golden` writes it anew."""

from pathlib import Path

from tests.k8s.world import OVERLAYS, rendered

COMMAND = "make manifests"
FOLDER = Path(__file__).parent / "golden"


def golden() -> dict[Path, str]:
    """Each rendered step of production by its file."""
    names = {folder: folder.removeprefix("overlays/").replace("/", "-") for folder in OVERLAYS["prod"]}
    return {FOLDER / f"{name}.yaml": rendered(folder) for folder, name in names.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in golden().items():
        path.write_text(text)
