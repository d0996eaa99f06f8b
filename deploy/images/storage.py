"""Where images and containers of this checkout lie, and the programs that make them: nothing outside, no engine."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache"
STORAGE = CACHE / "containers"
SECONDS = 900

# For root in a sandbox: no systemd, no limits that it may not raise, no shared memory with others.
CONTAINERS = """\
[containers]
default_ulimits = []
[network]
network_backend = "netavark"
network_config_dir = "{storage}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
image_parallel_copies = 2
tmp_dir = "{storage}/tmp"
"""
LAYERS = """\
[storage]
driver = "overlay"
graphroot = "{storage}/storage"
runroot = "{storage}/run"
"""


@cache
def environment() -> Mapping[str, str]:
    """What buildah and podman find everything by; writes their configuration."""
    STORAGE.mkdir(parents=True, exist_ok=True)
    files = {"CONTAINERS_CONF": CONTAINERS, "CONTAINERS_STORAGE_CONF": LAYERS}
    for name, text in files.items():
        (STORAGE / f"{name.lower()}.toml").write_text(text.format(storage=STORAGE))
    return {
        **{name: value for name, value in os.environ.items() if name != "TMPDIR"},
        **{name: str(STORAGE / f"{name.lower()}.toml") for name in files},
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(CACHE / "uv")),
        "UV_NO_CONFIG": "1",
    }


def run(*argv: str, env: Mapping[str, str] | None = None, seconds: float = SECONDS, told: str | None = None) -> str:
    """What a program prints; `told` is its input. Raises SystemExit with the end of its complaints."""
    done = subprocess.run(
        argv, check=False, cwd=ROOT, env={**environment(), **(env or {})}, capture_output=True, text=True,
        timeout=seconds, **({"stdin": subprocess.DEVNULL} if told is None else {"input": told}),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(argv[:6])} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


def missing(*programs: str) -> str:
    """Why images cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "not root"
    absent = [name for name in programs if not shutil.which(name)]
    return f"no {', '.join(absent)}" if absent else ""


def release() -> None:
    """Unmount what buildah and podman leave mounted, so that the folder can be removed."""
    below = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if f" {STORAGE}/" in line]
    for path in sorted(below, reverse=True):
        subprocess.run(("/usr/bin/umount", "--lazy", path), check=False, stderr=subprocess.DEVNULL, timeout=60)
