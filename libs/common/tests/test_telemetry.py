"""What leaves for the collector."""

import httpx
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perennial.common.telemetry import without_query


async def test_spans_hold_no_queries() -> None:
    app, spans, provider = FastAPI(), InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, server_request_hook=without_query)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        await client.get("/v1/identifiers?identifier=email:bob%40example.com")
    said = [str(dict(span.attributes or {})) for span in spans.get_finished_spans()]
    assert any("/v1/identifiers" in one for one in said)
    assert not any("bob" in one for one in said)
