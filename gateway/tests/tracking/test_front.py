"""Tracking requests pass no middleware, and miss nothing of what it does for all others."""

from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perennial.common.service import ServiceRuntime
from perennial.gateway import tracing
from perennial.gateway.testing import WRITE_KEY, Send, messages, track
from perennial.gateway.tracking import api, service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {b"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode()}


class Kept:
    """A histogram that keeps what it is told."""

    def __init__(self) -> None:
        self.labels: list[Any] = []

    def record(self, seconds: float, labels: Any) -> None:
        assert seconds >= 0
        self.labels.append((labels["route"], labels["method"], labels["status"]))


async def test_every_answer_is_measured(http: httpx.AsyncClient, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr(api, "duration", kept)
    await send([track()])
    await http.post("/v1/track/", json=track(), auth=("nobody", ""))
    await http.get("/v1/batch")
    await http.options("/v1/t")
    await http.get("/v1/projects/unknown/settings")
    assert kept.labels == [
        ("/v1/batch", "POST", 200), ("/v1/track", "POST", 401), ("/v1/batch", "GET", 405), ("/v1/t", "OPTIONS", 204),
        ("/v1/projects/{key}/settings", "GET", 404),
    ]  # fmt: skip


async def test_every_answer_bears_what_the_guard_gives(http: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/v1/track"), ("GET", "/v1/batch"), ("OPTIONS", "/v1/t"), ("POST", "/v1/m")):
        answer = await http.request(method, path, json={}, headers={"X-Request-Id": "r1"})
        found = {name: answer.headers[name] for name in ("x-request-id", "cache-control", "x-content-type-options")}
        assert found == {"x-request-id": "r1", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    shown = await http.get(f"/v1/projects/{WRITE_KEY}/settings")
    assert (shown.headers["cache-control"], len(shown.headers["x-request-id"])) == ("public, max-age=120", 36)


async def test_what_is_out_of_form_is_refused_and_browsers_may_read_why(http: httpx.AsyncClient) -> None:
    headers = [(f"X-{number}", "x") for number in range(120)]
    answer = await http.post("/v1/track", json=track(), headers=[*headers, ("Origin", "https://shop.example")])
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_outcomes_are_counted(send: Send) -> None:
    before = dict(service.outcomes)
    await send([track(), track(messageId="m2"), track(userId=None)])
    found = {item.attributes["outcome"]: item.value for item in service._observed(None)}  # type: ignore[arg-type, index]
    assert found["accepted"] - before.get("accepted", 0) == 2
    assert found["rejected"] - before.get("rejected", 0) == 1


def current() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("t"))
    return exporter


def test_a_request_that_bears_no_trace_has_no_span_of_its_own(collected: InMemorySpanExporter) -> None:
    with tracing.followed("ingest", {}, {}):
        assert not current().is_valid
    assert collected.get_finished_spans() == ()
    with tracing.followed("ingest", PARENT, {}):
        assert format(current().trace_id, "032x") == TRACE
    [found] = collected.get_finished_spans()
    assert (found.name, format(found.parent.span_id, "016x")) == ("ingest", "00f067aa0ba902b7")  # type: ignore[union-attr]
    assert not current().is_valid


async def test_a_message_has_the_span_that_its_requests_have_not(
    send: Send, live_runtime: ServiceRuntime, collected: InMemorySpanExporter
) -> None:
    await send([track()])
    [found] = collected.get_finished_spans()
    [message] = await messages(live_runtime)
    assert (message.headers or {})["traceparent"].split("-")[1:3] == [
        format(found.context.trace_id, "032x"), format(found.context.span_id, "016x"),
    ]  # fmt: skip
    assert found.attributes == {"perennial.source": "development", "perennial.requests": 1}
    await send([track(messageId="m2")], headers={"traceparent": PARENT[b"traceparent"].decode()})
    assert [format(item.context.trace_id, "032x") == TRACE for item in collected.get_finished_spans()] == [False, True]


async def test_a_message_that_is_not_stored_fails_its_span(
    send: Send, live_runtime: ServiceRuntime, collected: InMemorySpanExporter
) -> None:
    await live_runtime.js.delete_stream("INGEST")
    assert (await send([track()])).status_code == 503
    [found] = collected.get_finished_spans()
    assert not found.status.is_ok


async def test_a_message_always_belongs_to_a_trace(send: Send, live_runtime: ServiceRuntime) -> None:
    await send([track()])
    await send([track(messageId="m2")])
    one, other = [(message.headers or {})["traceparent"].split("-")[1] for message in await messages(live_runtime)]
    assert int(one, 16) > 0 < int(other, 16)
    assert one != other
    assert not current().is_valid
