"""The edge holds: what was acknowledged is there after kill -9, and nobody passes it by."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from perennial.common.auth import AUDIENCE, ISSUER, Principal, mint
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

CLIENTS = 6
EACH = 5
SECONDS = 1.0


def test_nothing_acknowledged_is_lost_when_the_gateway_is_killed(platform: Platform, shop: Shop) -> None:
    acknowledged: list[str] = []
    over = threading.Event()

    def client(number: int) -> int:
        """Send small batches, one after the other, and never a second time: only what got a 200 counts."""
        failed = 0
        with httpx.Client(base_url=platform.gateway_url, timeout=10) as http:
            for turn in itertools.count():
                if over.is_set():
                    return failed
                ids = [f"{shop.mark}-k{number}-{turn}-{at}" for at in range(EACH)]
                batch = [
                    {"type": "track", "event": "Tap", "userId": shop.user(number), "messageId": one} for one in ids
                ]
                try:
                    answer = http.post("/v1/batch", json={"batch": batch}, auth=(shop.write_key, ""))
                except httpx.TransportError:
                    failed += 1
                    time.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    acknowledged.extend(ids)
                else:
                    assert answer.status_code == 503, answer.text
                time.sleep(0.02)
        raise AssertionError

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        time.sleep(SECONDS)
        platform.kill("gateway")
        platform.wait_process("gateway")
        time.sleep(SECONDS)
        over.set()
        failed = sum(one.result() for one in clients)
    assert failed, "nobody noticed: the load was no load"
    assert len(acknowledged) > 200
    found = until(lambda: _all_readable(shop, acknowledged), what=f"{len(acknowledged)} acknowledged events")
    assert found == len(acknowledged)


def _all_readable(shop: Shop, ids: list[str]) -> int | None:
    last = shop.try_get(f"/v1/events/{ids[-1]}")
    if last is None:
        return None
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: shop.http.get(f"/v1/events/{one}", headers=shop.headers).status_code, ids))
    return len(answers) if set(answers) == {200} else None


def operations() -> Iterator[tuple[str, str, str]]:
    """Service, method and path of everything that is documented and not public."""
    for service, document in read_snapshots().items():
        for path, methods in document["paths"].items():
            for method, said in methods.items():
                if said.get("security") != []:
                    yield service, method.upper(), path.replace("{", "").replace("}", "")


def _private() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _tokens(platform: Platform, shop: Shop) -> dict[str, str | None]:
    ours = platform.environment_of("gateway")["PERENNIAL_INTERNAL_PRIVATE_KEY"]
    root = Principal("staff", "root", frozenset("*"), fields=frozenset("*"))
    claims = {"sub": "root", "kind": "staff", "scope": "*", "exp": 4_000_000_000, "iss": ISSUER, "aud": AUDIENCE}
    other = {**claims, "aud": "customer"}
    return {
        "nothing": None,
        "an API key": platform.api_key,
        "a stranger's": mint(_private(), root),
        "expired": mint(ours, root, ttl=-5),
        "unsigned": jwt.encode(claims, "", algorithm="none"),
        "for somebody else": jwt.encode(other, ours, algorithm="EdDSA"),
        "a symmetric one": jwt.encode(claims, "k" * 64, algorithm="HS256"),
    }


def test_a_service_answers_nobody_who_passes_the_gateway_by(platform: Platform, shop: Shop) -> None:
    running = platform.processes()
    seen = 0
    with httpx.Client(timeout=10) as http:
        for (service, method, path), (says, token) in itertools.product(operations(), _tokens(platform, shop).items()):
            if service not in running:
                continue
            answer = _ask(http, f"{running[service]['url'].rstrip('/')}{path}", method, token)
            assert answer.status_code == 401, f"{method} {path} with {says}: {answer.status_code} {answer.text}"
            assert answer.json()["code"]
            seen += 1
    assert seen > 500


def _ask(http: httpx.Client, url: str, method: str, token: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"X-Perennial-Principal": "root", "X-Internal-Principal": "root", "X-Forwarded-User": "root"}
    body: dict[str, Any] = {} if method in {"GET", "DELETE"} else {"json": {}}
    return http.request(method, url, headers=headers, **body)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_what_a_service_says_without_a_token_is_about_itself(platform: Platform, path: str) -> None:
    assert httpx.get(f"{platform.service_url('profile').rstrip('/')}{path}").status_code == 200
