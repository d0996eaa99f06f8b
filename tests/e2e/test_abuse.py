"""What strangers and broken clients send: refused cleanly, never a 500, never a wait without end, never memory."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

MEGABYTE = 1024 * 1024
GROWTH = 96 * MEGABYTE


def memory(platform: Platform) -> int:
    """What the gateway holds, in bytes."""
    resident: int = psutil.Process(platform.processes()["gateway"]["pid"]).memory_info().rss
    return resident


@pytest.fixture(autouse=True)
def unharmed(platform: Platform, shop: Shop) -> Iterator[None]:
    """Whatever happens in a test: the gateway still serves, is the same process, and has not grown."""
    before, process = memory(platform), platform.processes()["gateway"]["pid"]
    yield
    assert platform.processes()["gateway"]["pid"] == process
    started = time.monotonic()
    shop.deliver([shop.event("track", shop.user("after"), event="Tap")])
    assert shop.get("/v1/segments")["items"] is not None
    assert time.monotonic() - started < 10
    assert memory(platform) - before < GROWTH


@contextmanager
def connection(platform: Platform) -> Iterator[socket.socket]:
    address = urlsplit(platform.gateway_url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=10) as opened:
        yield opened


def talk(platform: Platform, request: bytes) -> bytes:
    """The first thing that comes back; nothing when the connection is closed."""
    with connection(platform) as opened:
        try:
            opened.sendall(request)
            return opened.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def event(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Tap", "userId": "u", **fields}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/v1/segments/preview", "/v1/sources"])
def test_a_gzip_bomb_does_not_unfold(shop: Shop, path: str) -> None:
    bomb = gzip.compress(bytes(200 * MEGABYTE), 9)
    headers = {**shop.headers, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    headers |= {"X-Write-Key": shop.write_key}
    for content in (bomb[: 400_000 if path == "/v1/batch" else 30_000], gzip.compress(gzip.compress(bomb))[:30_000]):
        answer = shop.http.post(path, content=content, headers=headers)
        assert answer.status_code in {400, 413, 422}, answer.text


ODD: dict[str, str | bytes] = {
    "deep arrays": "[" * 100_000,
    "deep objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "deep properties": json.dumps(event(properties={"a": 1})).replace('{"a": 1}', '{"a":' * 900 + "1" + "}" * 900),
    "NUL": json.dumps(event(name="a\x00b", userId="a\x00b", properties={"a\x00": "\x00"})),
    "lone surrogates": '{"type":"track","event":"\\ud800","userId":"\\udfff","name":"\\ud800","traits":{"\\ud800":1}}',
    "ten thousand keys": json.dumps(event(properties={str(at): at for at in range(10_001)})),
    "huge numbers": '{"type":"track","event":"e","userId":"u","properties":{"n":1e999,"m":' + "9" * 5000 + "}}",
    "not a number": '{"type":"track","event":"e","userId":"u","name":NaN,"properties":{"n":NaN,"m":Infinity}}',
    "not UTF-8": b'{"type":"track","event":"\xff\xfe","userId":"u"}',
    "nothing": "",
    "a number": "1",
    "a byte order mark": "\ufeff{}",
}
DOORS = [
    ("POST", "/v1/track"), ("POST", "/v1/batch"), ("POST", "/v1/sources"), ("POST", "/v1/api-keys"),
    ("POST", "/v1/segments"), ("POST", "/v1/segments/preview"), ("POST", "/v1/tickets"), ("POST", "/v1/webhooks"),
    ("POST", "/v1/merges"), ("PUT", "/v1/loyalty/programme"), ("POST", "/v1/loyalty/accounts/x/spend"),
    ("POST", "/v1/journeys"),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_odd_json(shop: Shop, odd: str) -> None:
    for method, path in DOORS:
        headers = {**shop.headers, "X-Write-Key": shop.write_key, "Content-Type": "application/json"}
        said = ODD[odd]
        content = said if isinstance(said, bytes) else said.encode()
        if path == "/v1/batch":
            content = b'{"batch":[' + content + b"]}"
        headers["Idempotency-Key"] = f'"{shop.mark}-{path}-{odd}"'
        answer = shop.http.request(method, path, content=content, headers=headers)
        assert answer.status_code < 500, f"{path}: {answer.text}"
        assert answer.status_code == 200 or answer.json()["code"], path


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers?identifier=user_id:%00", "/v1/customers?identifier=user_id:%ed%a0%80", "/v1/customers?limit=1e9",
        "/v1/customers?identifier=" + "x" * 7000, "/v1/customers?cursor=%00", "/v1/events/%00", "/v1/events/%ff",
        "/v1/events/a%0d%0ab", "/v1/customers/%2e%2e/events", "/v1/customers/..%2f..%2fmetrics", "//v1/segments",
        "/v1//segments", "/v1/segments/;x=1", "/v1/segments/%c0%ae%c0%ae", "/v1/customers/x/../../metrics",
        "/v1/segments/" + "a" * 7000, "/" + "v1/" * 2000, "/v1/segments?" + "&".join(f"a{n}=1" for n in range(900)),
        "/v1/audit/gateway?cursor=AAAA", "/v1/tickets?status=%00",
    ],
)  # fmt: skip
def test_odd_paths_and_queries(platform: Platform, shop: Shop, path: str) -> None:
    authorization = shop.headers["Authorization"]
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n".encode()
    answer = talk(platform, request)
    assert 200 <= status(answer) < 500, answer


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO", "get"])
@pytest.mark.parametrize("path", ["/v1/segments", "/v1/sources", "/v1/batch", "/docs"])
def test_odd_methods(platform: Platform, method: str, path: str) -> None:
    answer = talk(platform, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert status(answer) in {400, 405}, answer
    assert status(answer) == 400 or b"\r\nallow: " in answer.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /v1/segments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /v1/segments HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
        b"GET /v1/segments HTTP/1.1\nHost: x\n\n",
        b"GET /v1/segments HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /v1/segments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        b"GET /v1/segments HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_requests_that_can_be_read_in_two_ways(platform: Platform, head: bytes) -> None:
    answer = talk(platform, head)
    assert status(answer) == 400, answer
    assert b"application/problem+json" in answer


def test_heads_without_end(platform: Platform) -> None:
    for filler in (b"X-A: " + b"a" * 40_000 + b"\r\n", b"X-A: b\r\n" * 200, b"X-A: " + b"a" * 30 * MEGABYTE):
        answer = talk(platform, b"GET /v1/segments HTTP/1.1\r\nHost: x\r\n" + filler + b"\r\n")
        assert status(answer) in {0, 431}, answer


def test_hundreds_of_slow_clients_keep_nobody_waiting(platform: Platform, shop: Shop) -> None:
    starts = [
        b"", b"GET /v1/seg", b"GET /v1/segments HTTP/1.1\r\nX-A: ",
        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{",
        b"POST /v1/sources HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{",
        f"POST /v1/segments HTTP/1.1\r\nHost: x\r\nAuthorization: {shop.headers['Authorization']}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n".encode(),
    ]  # fmt: skip
    address = urlsplit(platform.gateway_url)
    opened = []
    try:
        for number in range(600):
            slow = socket.create_connection((address.hostname or "", address.port or 80), timeout=10)
            slow.sendall(starts[number % len(starts)])
            opened.append(slow)
        for _ in range(20):
            started = time.monotonic()
            shop.deliver([shop.event("track", shop.user("fast"), event="Tap")])
            assert shop.http.get("/v1/segments", headers=shop.headers).status_code == 200
            assert time.monotonic() - started < 5
    finally:
        for slow in opened:
            slow.close()


def test_an_answer_that_nobody_reads(platform: Platform) -> None:
    opened = []
    address = urlsplit(platform.gateway_url)
    try:
        for _ in range(50):
            slow = socket.create_connection((address.hostname or "", address.port or 80), timeout=10)
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            opened.append(slow)
        time.sleep(1)
        assert httpx.get(f"{platform.gateway_url}/healthz", timeout=5).status_code == 200
    finally:
        for slow in opened:
            slow.close()


def test_a_million_distinct_ids(tmp_path: Path) -> None:
    """On a platform of its own: whoever comes after would wait until identity knows a million newcomers."""
    with Platform(tmp_path, port=0, services=("identity",)) as platform, ThreadPoolExecutor(4) as pool:
        shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
        before, most = memory(platform), 0
        for _ in pool.map(partial(_newcomers, shop), range(400)):
            most = max(most, memory(platform))
        shop.http.close()
    assert most - before < GROWTH


def _newcomers(shop: Shop, batch: int) -> None:
    each = (b'{"type":"track","event":"Tap","anonymousId":"%d-%d"}' % (batch, at) for at in range(2_500))
    content = b'{"batch":[' + b",".join(each) + b"]}"

    def accepted() -> bool:
        return shop.http.post("/v1/batch", content=content, auth=(shop.write_key, "")).status_code == 200

    until(accepted, 60, "room in the stream")


def test_nobody_outside_speaks_for_the_gateway(shop: Shop) -> None:
    forged = {
        "X-Internal-Token": "root", "X-Perennial-Principal": "root", "X_Internal_Token": "root",
        "X-Forwarded-User": "root", "X-Original-URL": "/metrics", "X-HTTP-Method-Override": "DELETE",
        "Connection": "Authorization",
    }  # fmt: skip
    assert shop.http.get("/v1/segments", headers=forged).status_code == 401
    assert shop.http.get("/v1/segments", headers={**forged, **shop.headers}).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "https://[::1]/", "https://[fd00::1]/",
        "http://167772161/", "http://0xa000001/", "https://[::ffff:10.0.0.1]/", "https://user:pw@example.com/",
        "file:///etc/passwd", "gopher://127.0.0.1/", "http://0.0.0.0/", "https://１６９.２５４.１６９.２５４/", "//x", "https://",
    ],
)  # fmt: skip
def test_configuration_cannot_lead_inside(shop: Shop, url: str) -> None:
    issuer = {"name": "x", "issuer": f"{shop.mark}{url}", "audience": "x", "jwks_url": url}
    for path, body in (("webhooks", {"url": url, "event_types": ["loyalty.*"]}), ("token-issuers", issuer)):
        made = shop.http.post(f"/v1/{path}", json=body, headers=shop.headers)
        assert made.status_code == 422, made.text
        assert made.json()["code"]


def test_logs_stay_lines_of_json(platform: Platform, shop: Shop) -> None:
    evil = f"{shop.mark}\x1b[31m\r\n" + '{"event":"forged","level":"critical"}'
    quoted = evil.replace("\x1b", "%1b").replace("\r\n", "%0d%0a").replace('"', "%22").replace("{", "%7b")
    log = platform.home.log("gateway")
    start = log.stat().st_size
    with httpx.Client(base_url=platform.gateway_url, timeout=10) as http:
        for path in (f"/v1/{quoted}", f"/v1/events/{quoted}", f"/v1/projects/{quoted}/settings"):
            http.get(path, headers={**shop.headers, "User-Agent": quoted * 20, "X-Request-Id": quoted})
        http.post("/v1/batch", json={"batch": [event(userId=evil, messageId=evil, event=evil * 200)]}, auth=(evil, ""))
    shop.deliver([event(userId=evil, event=evil)])
    platform.stop_process("loyalty")  # a service that is away is something to log about
    try:
        away = f"/v1/loyalty/accounts/{shop.mark}%7b%22x"
        assert shop.http.get(away, headers=shop.headers).status_code in {502, 503}
        until(lambda: shop.mark in log.read_text(errors="replace")[start:], 10, "the line")
    finally:
        platform.start_process("loyalty")
    written = log.read_bytes()[start:]
    assert b"\x1b" not in written
    for line in written.decode().splitlines():
        assert json.loads(line).get("event") != "forged"


def test_nonsense_side_by_side(platform: Platform, shop: Shop) -> None:
    """Everything at once from several threads, while somebody works."""
    over = threading.Event()

    def shout() -> None:
        while not over.is_set():
            talk(platform, b"\x00" * 100)
            with connection(platform) as cut:
                cut.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            httpx.post(f"{platform.gateway_url}/v1/batch", content=gzip.compress(bytes(MEGABYTE)))

    shouting = [threading.Thread(target=shout) for _ in range(3)]
    for thread in shouting:
        thread.start()
    try:
        for _ in range(20):
            shop.deliver([shop.event("track", shop.user("busy"), event="Tap")])
    finally:
        over.set()
        for thread in shouting:
            thread.join()
