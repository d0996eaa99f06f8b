"""Telemetry leaves by OTLP when a collector is configured."""

import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx

from perennial.local.net import free_port
from perennial.local.platform import Platform
from tests.e2e.shop import until


def test_requests_and_metrics_reach_the_collector(platform: Platform) -> None:
    got: dict[str, bytes] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got[self.path] = got.get(self.path, b"") + body
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        port = free_port()
        argv = [sys.executable, "-m", "perennial.common.run", "profile", "--api", "--port", str(port)]
        endpoint = {"PERENNIAL_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
        process = subprocess.Popen(argv, env=platform.environment_of("profile") | endpoint, stdout=subprocess.DEVNULL)
        try:
            until(partial(_answers, port), what="a profile with a collector")
            assert httpx.get(f"http://127.0.0.1:{port}/v1/customers/summary").status_code == 401
        finally:
            process.terminate()
            process.wait(30)
        collector.shutdown()
    assert b"/v1/customers/summary" in got["/v1/traces"]
    assert b"perennial-profile" in got["/v1/traces"]
    assert b"perennial.http.duration" in got["/v1/metrics"]
    assert b"/readyz" not in got["/v1/traces"]


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False
