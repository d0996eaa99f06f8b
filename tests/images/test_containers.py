"""What production runs, run: images of each service by the rendered manifests, from a first owner to a profile."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.images import build
from tests.e2e.shop import Shop, until
from tests.images.cluster import Cluster
from tests.images.pods import Overlay
from tests.k8s.rules.pods import USER

WORDS = "a quiet grey harbour"
MIB = 2**20
# What a process says of itself from inside.
INSIDE = """
import errno, json, os
said = dict(line.split(":", 1) for line in open("/proc/self/status"))
try:
    open("/app/written", "w")
except OSError as error:
    root = errno.errorcode[error.errno]
with open("/tmp/written", "w") as file:
    file.write("yes")
found = {name: said[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
found |= {"uid": os.getuid(), "gid": os.getgid(), "root": root, "first": open("/proc/1/cmdline").read()}
print(json.dumps(found))
"""


def test_an_image_is_small(images: dict[str, build.Made]) -> None:
    for one in images.values():
        print(f"perennial/{one.name}: {one.megabytes:.0f} MB")  # noqa: T201 (a figure that is asked for)
    assert max(one.megabytes for one in images.values()) < build.MOST_MEGABYTES


def test_the_same_inputs_make_the_same_image(images: dict[str, build.Made]) -> None:
    name = "profile"
    assert next(iter(build.made([name]))).id == images[name].id


def test_nothing_in_an_image_is_a_shell(running: Cluster) -> None:
    with pytest.raises(SystemExit, match=r"not found|no such file"):
        running.podman("exec", running.box("gateway-api"), "sh", "-c", "true")


def test_every_probe_is_answered(running: Cluster, overlay: Overlay, services: list[str]) -> None:
    for name in overlay.processes(services):
        probes = overlay.probes(name)
        assert len(probes) == 3
        assert {probe: running.answers(name, *asked) for probe, asked in probes.items()} == dict.fromkeys(probes, True)


def test_a_process_may_do_nothing_but_its_work(running: Cluster, overlay: Overlay, services: list[str]) -> None:
    for name in overlay.processes(services):
        said = json.loads(running.podman("exec", running.box(name), "python", "-c", INSIDE))
        assert (said["uid"], said["gid"]) == (USER, USER), name
        assert said["root"] == "EROFS", name
        assert {said["CapEff"], said["CapBnd"]} == {"0" * 16}, name
        assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2"), name
        assert said["first"].startswith("/usr/bin/tini"), name


def test_memory_is_what_the_manifest_allows(running: Cluster, overlay: Overlay, services: list[str]) -> None:
    for name, pod in overlay.processes(services).items():
        written = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        allowed = int(written[:-2]) * {"Mi": MIB, "Gi": 1024 * MIB}[written[-2:]]
        assert running.inspect(name)["HostConfig"]["Memory"] == allowed, name
        assert not running.inspect(name)["State"]["OOMKilled"], name


def test_from_the_first_owner_to_a_profile(running: Cluster) -> None:
    """As production begins: nobody's password lies in a manifest."""
    email = "ann@example.com"
    command = ("python", "-m", "perennial.gateway.staff", "add", "--email", email)
    password = running.podman("exec", running.box("gateway-api"), *command)
    url = f"http://{running.address('gateway-api')}:8000"
    assert running.call(lambda: _story(url, email, password))


def _story(url: str, email: str, password: str) -> bool:
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        opened = _told(http.post("/v1/staff/sessions", json={"email": email, "password": password}))
        assert opened["must_change_password"] is True
        change = {"current_password": password, "new_password": WORDS}
        owner = _told(http.put("/v1/staff/me/password", json=change, headers=_bearer(opened["token"])))["token"]
        source = _told(http.post("/v1/sources", json={"name": "till"}, headers=_bearer(owner)))
    shop = Shop(url, source["write_keys"][0]["key"], owner)
    try:
        user = shop.user("ann")
        shop.deliver([shop.event("identify", user, traits={"city": "Lisbon"}), shop.order(user, "12.50")])
        found = until(lambda: shop.customer(user), what="the customer of an event")
        path = f"/v1/customers/{found}"
        shown = until(lambda: _counted(shop.try_get(path)), what="the profile with its order")
        return bool(shown["id"] == found)
    finally:
        shop.http.close()


def _counted(shown: Any) -> Any:
    return shown if shown and shown["orders"]["count"] == 1 and shown["traits"].get("city") == "Lisbon" else None


def test_a_pod_that_is_asked_to_go_ends_well(running: Cluster) -> None:
    box = running.box("profile-worker")
    running.podman("stop", "--time", "60", box, seconds=90)
    # 128 and SIGTERM: it finished what it had and then took the signal; 137 would be a kill.
    assert running.inspect("profile-worker")["State"]["ExitCode"] == 143, running.log("profile-worker")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _told(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def test_an_image_is_sent_where_it_is_wanted(images: dict[str, build.Made], tmp_path: Path) -> None:
    digest = build.push(images["profile"], f"dir:{tmp_path}")
    manifest = next(tmp_path.glob("profile:*/manifest.json")).read_bytes()
    assert digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"
