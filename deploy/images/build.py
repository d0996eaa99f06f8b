"""The images of the services, built from wheels alone: `python -m deploy.images.build [service …]`, as root.

Needs Debian's `buildah` and `mmdebstrap` and no engine. The base is Debian with Python, made from the machine's own
package sources. The same commit, lock and base make the same image.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONTEXT = ROOT / ".cache" / "images"
MOST_MEGABYTES = 300
# Splink's DuckDB and Arrow are two thirds of it.
LARGER = {"identity": 360}
PYTHON, DEBIAN = "3.11", "bookworm"
PLATFORM = "x86_64-manylinux_2_28"
# `usr-is-merged` says what is so from the start; the package that would see to it brings all of Perl.
PACKAGES = "python3.11,libpython3.11-stdlib,libstdc++6,ca-certificates,tini,usr-is-merged"
MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
# Nobody reads manuals in there, or converts old encodings.
LEFT_OUT = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"),
    "/usr/lib/x86_64-linux-gnu/gconv/*",
)
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "TMPDIR"},
    "CONTAINERS_CONF": str(HERE / "containers.conf"),
    "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(ROOT / ".cache" / "uv")),
    "UV_NO_CONFIG": "1",
}


def run(*argv: str) -> str:
    """What a program prints. Raises SystemExit with the end of its complaints."""
    done = subprocess.run(argv, check=False, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv[:3])} failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def epoch() -> str:
    """The commit's time: every file of an image bears it."""
    return run("git", "log", "-1", "--format=%ct")


def services() -> list[str]:
    """Everything that has a `SERVICE`."""
    return ["gateway", *sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))]


def member(name: str) -> Path:
    """Where a service's project is."""
    return ROOT / name if name == "gateway" else ROOT / "services" / name


def make_base(name: str, packages: str) -> str:
    """Debian with these packages, unless it is there; the image's name."""
    tag = hashlib.sha256(f"{DEBIAN} {packages} {LEFT_OUT}".encode()).hexdigest()[:12]
    image = f"localhost/perennial/{name}:{tag}"
    if run("buildah", "images", "--quiet", "--filter", f"reference={image}"):
        return image
    tar = CONTEXT / "base.tar"
    sources = list(Path("/etc/apt/sources.list.d").glob("debian.sources"))
    sources += [path for path in (Path("/etc/apt/sources.list"),) if path.exists()]
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    hooks = ("--quiet", "--variant=essential", "--mode=root", f"--hook-dir={MERGED}")
    ENVIRONMENT["SOURCE_DATE_EPOCH"] = epoch()
    run("mmdebstrap", *hooks, f"--include={packages}", *excluded, DEBIAN, str(tar), *map(str, sources))
    container = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", container, str(tar), "/")
    run("buildah", "commit", "--quiet", "--timestamp", epoch(), "--rm", container, image)
    tar.unlink()
    return image


def gather(names: Sequence[str]) -> None:
    """Wheels of ours and of others into the context: nothing is built from source, nothing is fetched in there."""
    for folder in ("wheels", "requirements"):
        shutil.rmtree(CONTEXT / folder, ignore_errors=True)
        (CONTEXT / folder).mkdir(parents=True)
    shutil.copy(Path(sys.executable).with_name("uv"), CONTEXT / "uv")
    shutil.copy(HERE / "unused.txt", CONTEXT / "unused.txt")
    for path in (ROOT / "libs" / "common", *map(member, names)):
        run(str(CONTEXT / "uv"), "build", "--quiet", "--wheel", "--out-dir", str(CONTEXT / "wheels"), str(path))
    for name in names:
        needed = CONTEXT / "requirements" / f"{name}.txt"
        needed.write_text(requirements(name) + "\n")
        pip = ("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        run(sys.executable, *pip, "--requirement", str(needed), "--dest", str(CONTEXT / "wheels"))
    (CONTEXT / "wheels" / ".gitignore").unlink(missing_ok=True)


def requirements(name: str) -> str:
    """What one service needs of the lock, with hashes."""
    projects = [str(path / "pyproject.toml") for path in (ROOT / "libs" / "common", member(name))]
    own = ("--no-emit-package", "perennial-common", "--no-emit-package", f"perennial-{name}")
    target = ("--python-platform", PLATFORM, "--python-version", PYTHON, "--constraint", "requirements.lock")
    quiet = ("--quiet", "--no-header", "--no-annotate", "--generate-hashes")
    return run(str(CONTEXT / "uv"), "pip", "compile", *quiet, *target, *own, *projects)


def build(name: str, base: str, builder: str) -> str:
    """Build one image; its name."""
    image = f"localhost/perennial/{name}"
    own = ("--build-arg", f"SERVICE={name}", "--build-arg", f"BASE={base}", "--build-arg", f"BUILDER={builder}")
    options = ("--isolation", "chroot", "--pull-never", "--no-cache", "--timestamp", epoch(), "--quiet")
    recipe = str(HERE / "Containerfile")
    run("buildah", "bud", *options, *own, "--file", recipe, "--tag", image, str(CONTEXT))
    return image


def described(image: str) -> dict[str, Any]:
    """Id and unpacked size in bytes of an image that was built."""
    found: list[dict[str, Any]] = json.loads(run("buildah", "images", "--json", image))
    container = run("buildah", "from", "--pull-never", image)
    try:
        mounted = run("buildah", "mount", container)
        size = int(run("du", "--summarize", "--bytes", "--one-file-system", mounted).split()[0])
    finally:
        run("buildah", "rm", container)
    return {"id": found[0]["id"], "bytes": size}


def made(names: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Build; name, size in megabytes and id of each."""
    CONTEXT.mkdir(parents=True, exist_ok=True)
    base, builder = make_base("base", PACKAGES), make_base("builder", f"{PACKAGES},binutils")
    gather(names)
    for name in names:
        found = described(build(name, base, builder))
        yield name, round(found["bytes"] / 1_000_000), found["id"]


def main() -> None:
    """Build what is named, or all; fail where an image is too large."""
    parser = argparse.ArgumentParser(description="Build the images of the services.")
    parser.add_argument("services", nargs="*", metavar="service", choices=[*services(), []])
    names = parser.parse_args().services or services()
    large = []
    for name, megabytes, identity in made(names):
        print(f"perennial/{name:<14}{megabytes:>5} MB  {identity[:19]}", flush=True)
        if megabytes > LARGER.get(name, MOST_MEGABYTES):
            large.append(name)
    if large:
        raise SystemExit(f"larger than {MOST_MEGABYTES} MB: {', '.join(large)}")


if __name__ == "__main__":
    main()
