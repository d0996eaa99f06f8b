"""Telemetry leaves by OTLP when a collector is configured; one trace leads from the browser's request to the SQL."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from secrets import token_hex
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

Span = tuple[str, str, str, str]
"""Service, name, span id, parent's id."""


class Collector:
    """Keeps what is sent to it, by path."""

    def __init__(self) -> None:
        self.got: dict[str, list[bytes]] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers.get("Content-Encoding") == "gzip"
                collector.got.setdefault(self.path, []).append(gzip.decompress(body) if packed else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace."""
        found = []
        for body in list(self.got.get("/v1/traces", ())):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                found += [
                    (service, span.name, span.span_id.hex(), span.parent_span_id.hex())
                    for scope in resource.scope_spans
                    for span in scope.spans
                    if span.trace_id.hex() == trace_id
                ]
        return found

    def everything(self, path: str) -> bytes:
        """All that came to a path."""
        return b"".join(self.got.get(path, ()))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    env = {"PERENNIAL_OTLP_ENDPOINT": collector.url}
    with Platform(tmp_path_factory.mktemp("traced"), port=0, services=("identity", "profile"), env=env) as running:
        yield running


def test_one_trace_leads_from_the_browser_to_the_sql_of_every_hop(traced: Platform, collector: Collector) -> None:
    shop = Shop(traced.gateway_url, traced.write_key, traced.api_key)
    trace_id, browser = token_hex(16), token_hex(8)
    user = shop.user("ann")
    answer = shop.http.post(
        "/v1/track",
        json=shop.event("track", user, event="Signed Up"),
        auth=(traced.write_key, ""),
        headers={"traceparent": f"00-{trace_id}-{browser}-01"},
    )
    assert answer.status_code == 200
    shop.known(user)

    def whole() -> list[Span] | None:
        found = collector.trace(trace_id)
        services = {service for service, name, _, _ in found if name.startswith("SQL ")}
        return found if {"perennial-identity", "perennial-profile"} <= services else None

    spans = until(whole, 60, "a trace with the SQL of identity and profile")
    parents = {span: parent for _, _, span, parent in spans}
    names = {span: (service, name) for service, name, span, _ in spans}
    leaf = next(span for service, name, span, _ in spans if service == "perennial-profile" and name.startswith("SQL "))
    way = [leaf]
    while way[-1] in parents:
        way.append(parents[way[-1]])
    assert way[-1] == browser, "the browser's own span is the first"
    hops = list(dict.fromkeys(names[span][0] for span in reversed(way[:-1])))
    assert hops == ["perennial-gateway", "perennial-identity", "perennial-profile"]
    shop.http.close()


def test_requests_and_metrics_reach_the_collector(traced: Platform, collector: Collector) -> None:
    assert httpx.get(f"{traced.service_url('profile')}/v1/customers/summary").status_code == 401
    traced.stop_process("profile")  # its last words are sent before it ends
    try:
        assert b"/v1/customers/summary" in collector.everything("/v1/traces")
        assert b"perennial-profile" in collector.everything("/v1/traces")
        assert b"perennial.http.duration" in collector.everything("/v1/metrics")
        assert b"/readyz" not in collector.everything("/v1/traces")
    finally:
        traced.start_process("profile")
