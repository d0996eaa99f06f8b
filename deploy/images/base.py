"""Debian as the services need it, from the machine's own package sources: a base without a shell, and a builder."""

import hashlib
import shutil
from pathlib import Path

from deploy.images.storage import HERE, STORAGE, run

DEBIAN, PYTHON = "bookworm", "3.11"
BASE = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "ca-certificates", "tini")
# `usr-is-merged` says what is so from the start; the package that would see to it brings all of Perl.
BUILDER = (*BASE, "python3.11", "binutils", "usr-is-merged")
MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
# Nobody reads manuals in there, or converts old encodings; licences stay.
LEFT_OUT = ("path-exclude=/usr/share/*", "path-include=/usr/share/doc/*/copyright", "path-include=/usr/share/python3/*",
            "path-include=/usr/share/ca-certificates/*", "path-exclude=/usr/lib/x86_64-linux-gnu/gconv/*")  # fmt: skip
FULL = ("path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/locale/*")
# The same packages make the same layer, whatever commit asks for them.
EPOCH = "0"


def exists(image: str) -> bool:
    """Whether it was built before."""
    return bool(run("buildah", "images", "--quiet", "--filter", f"reference={image}"))


def digest(*parts: object) -> str:
    """Twelve digits that change with any of the parts; files count by their bytes."""
    told = hashlib.sha256()
    for part in parts:
        told.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return told.hexdigest()[:12]


def make_base(*, fresh: bool) -> str:
    """What images run on; its name."""
    listed = f'--extract-hook=sh {HERE}/base.sh listed "$1"'
    options = ("--variant=extract", listed, *(f"--dpkgopt={option}" for option in LEFT_OUT))
    return _made("base", digest(DEBIAN, BASE, LEFT_OUT, HERE / "base.sh"), options, BASE, fresh=fresh)


def make_builder(*, fresh: bool) -> str:
    """What they are built in; its name."""
    options = ("--variant=essential", *(f"--dpkgopt={option}" for option in FULL))
    return _made("builder", digest(DEBIAN, BUILDER, FULL), options, BUILDER, fresh=fresh)


def _made(name: str, tag: str, options: tuple[str, ...], packages: tuple[str, ...], *, fresh: bool) -> str:
    image = f"localhost/perennial/{name}:{tag}"
    if exists(image) and not fresh:
        return image
    root = STORAGE / name
    sources = list(Path("/etc/apt/sources.list.d").glob("debian.sources"))
    sources += [path for path in (Path("/etc/apt/sources.list"),) if path.exists()]
    quiet = ("--quiet", "--mode=root", f"--hook-dir={MERGED}", f"--include={','.join(packages)}")
    shutil.rmtree(root, ignore_errors=True)
    run("mmdebstrap", *quiet, *options, "--format=directory", DEBIAN, str(root), *map(str, sources))
    run("sh", str(HERE / "base.sh"), name, str(root))
    container = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", container, f"{root}/", "/")
    run("buildah", "commit", "--quiet", "--timestamp", EPOCH, "--rm", container, image)
    shutil.rmtree(root)
    return image
