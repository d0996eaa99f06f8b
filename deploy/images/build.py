"""The images of the services, built from wheels alone: `python -m deploy.images.build [service …]`, as root.

Needs Debian's `buildah` and `mmdebstrap` and no engine. The same commit, lock and packages of Debian make the same
image: files bear the commit's time, those of the layers below none. `--fresh` asks Debian for its newest packages.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.images.base import PYTHON, digest, exists, make_base, make_builder
from deploy.images.storage import CACHE, HERE, ROOT, missing, release, run

CONTEXT = CACHE / "images"
MOST_MEGABYTES = 300
MEGABYTES = {"kB": 0.001, "MB": 1, "GB": 1000}
PLATFORM = "x86_64-manylinux_2_28"
UV = str(Path(sys.executable).with_name("uv"))
BUILD = ("buildah", "bud", "--isolation", "chroot", "--pull-never", "--no-cache", "--quiet")


@dataclass(frozen=True)
class Made:
    """An image; `megabytes` is what podman shows, unpacked."""

    name: str
    megabytes: float
    id: str


def epoch() -> str:
    """The commit's time."""
    return run("git", "log", "-1", "--format=%ct")


def services() -> list[str]:
    """Everything that has a `SERVICE`."""
    return ["gateway", *sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))]


def member(name: str) -> Path:
    """Where a project is."""
    return {"common": ROOT / "libs" / "common", "gateway": ROOT / "gateway"}.get(name, ROOT / "services" / name)


def requirements(*names: str) -> set[str]:
    """What these projects need of the lock: one text each, with hashes."""
    projects = [str(member(name) / "pyproject.toml") for name in names]
    own = [f"--no-emit-package=perennial-{name}" for name in names]
    target = ("--python-platform", PLATFORM, "--python-version", PYTHON, "--constraint", "requirements.lock")
    quiet = ("--quiet", "--no-header", "--no-annotate", "--generate-hashes")
    told = run(UV, "pip", "compile", *quiet, *target, *own, *projects)
    return {block.strip() for block in re.split(r"\n(?=\S)", told) if block.strip()}


def context(name: str, wheels: str, blocks: set[str]) -> Path:
    """A fresh folder with the recipe's files, `<wheels>.txt` and the wheels it names: nothing is built from source."""
    folder = CONTEXT / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / wheels).mkdir(parents=True)
    for source in (Path(UV), HERE / "install.sh", HERE / "unused.txt"):
        shutil.copy(source, folder)
    needed = folder / f"{wheels}.txt"
    needed.write_text("".join(f"{block}\n" for block in sorted(blocks)))
    pip = ("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
    if blocks:
        run(sys.executable, *pip, "--requirement", str(needed), "--dest", str(folder / wheels))
    return folder


def ours(name: str) -> Path:
    """A wheel of our own project."""
    folder = CONTEXT / "ours" / name
    shutil.rmtree(folder, ignore_errors=True)
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(member(name)))
    return next(folder.glob("*.whl"))


def make_common(blocks: set[str], base: str, builder: str) -> str:
    """The layer that all services share, unless it is there; its name."""
    files = [HERE / name for name in ("common.Containerfile", "install.sh", "unused.txt")]
    image = f"localhost/perennial/common:{digest(sorted(blocks), base, builder, *files)}"
    if not exists(image):
        folder = context("common", "common", blocks)
        _build(image, HERE / "common.Containerfile", folder, "0", BASE=base, BUILDER=builder)
        shutil.rmtree(folder)
    return image


def make_service(name: str, shared: set[str], common: str, builder: str, wheel: Path) -> Made:
    """The image of one service."""
    folder = context(name, "own", requirements("common", name) - shared)
    with (folder / "own.txt").open("a") as needed:
        for path in (wheel, ours(name)):
            shutil.copy(path, folder / "own")
            said = path.name.split("-")
            needed.write(f"{said[0]}=={said[1]} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    image = f"localhost/perennial/{name}"
    _build(image, HERE / "Containerfile", folder, epoch(), COMMON=common, BUILDER=builder, SERVICE=name)
    shutil.rmtree(folder)
    found = json.loads(run("buildah", "images", "--json", "--no-trunc", image))[0]
    size, unit = found["size"].split()
    return Made(name, float(size) * MEGABYTES[unit], found["id"].removeprefix("sha256:"))


def _build(image: str, recipe: Path, folder: Path, time: str, **arguments: str) -> None:
    told = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    run(*BUILD, "--timestamp", time, *told, "--file", str(recipe), "--tag", image, str(folder))


def made(names: Sequence[str], *, fresh: bool = False) -> Iterator[Made]:
    """Build them, two at a time."""
    if why := missing("buildah", "mmdebstrap"):
        raise SystemExit(f"images cannot be built here: {why}")
    CONTEXT.mkdir(parents=True, exist_ok=True)
    base, builder = make_base(fresh=fresh), make_builder(fresh=fresh)
    shared = requirements("common")
    common = make_common(shared, base, builder)
    wheel = ours("common")
    with ThreadPoolExecutor(2) as both:
        yield from both.map(lambda name: make_service(name, shared, common, builder, wheel), names)
    _tidy({base, builder, common})


def push(made: Made, where: str) -> str:
    """Send an image to `<where>/<service>:<commit>`, `where` with its transport; the digest that it has there."""
    answer = CONTEXT / f"{made.name}.digest"
    target = f"{where.rstrip('/')}/{made.name}:{run('git', 'rev-parse', '--short=12', 'HEAD')}"
    run("buildah", "push", "--quiet", "--digestfile", str(answer), f"localhost/perennial/{made.name}", target)
    return answer.read_text().strip()


def _tidy(used: set[str]) -> None:
    """Remove layers that nothing is built on any more."""
    for kind in ("common", "base", "builder"):
        found = run(
            "buildah", "images", "--format", "{{.Name}}:{{.Tag}}", "--filter", f"reference=localhost/perennial/{kind}"
        )
        for image in set(found.split()) - used:
            run("buildah", "rmi", "--force", image)
    run("buildah", "rmi", "--prune", "--force")


def _plain(where: str) -> str:
    return where.partition("://")[2].rstrip("/") or where


def main() -> None:
    """Build what is named, or all; fail where an image is too large."""
    parser = argparse.ArgumentParser(description="Build the images of the services.")
    parser.add_argument("services", nargs="*", metavar="service", choices=[*services(), []])
    parser.add_argument("--push", metavar="WHERE", help="docker://registry.example.com/perennial: prints the digests")
    parser.add_argument("--fresh", action="store_true", help="the newest packages of Debian")
    arguments = parser.parse_args()
    large = []
    try:
        for one in made(arguments.services or services(), fresh=arguments.fresh):
            print(f"perennial/{one.name:<14}{one.megabytes:>5.0f} MB  {one.id[:12]}", flush=True)
            if arguments.push:
                print(f"  - name: perennial/{one.name}\n    newName: {_plain(arguments.push)}/{one.name}")
                print(f"    digest: {push(one, arguments.push)}", flush=True)
            if one.megabytes > MOST_MEGABYTES:
                large.append(one.name)
    finally:
        release()
    if large:
        raise SystemExit(f"larger than {MOST_MEGABYTES} MB: {', '.join(large)}")


if __name__ == "__main__":
    main()
