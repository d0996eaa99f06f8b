"""OpenTelemetry traces and metrics, the Prometheus reader, structlog as JSON."""

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from nats.aio.msg import Msg
from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from perennial.common.settings import CommonSettings

FLUSH_MILLISECONDS = 3000
MOST_LINKS = 64


def setup(name: str, settings: CommonSettings) -> None:
    """Once per process. Spans are made only when a collector is configured; metrics always feed /metrics."""
    _logs(name, settings.log_level)
    resource = Resource.create({"service.name": f"perennial-{name}", "service.namespace": "perennial"})
    readers: list[MetricReader] = [PrometheusMetricReader()]
    if settings.otlp_endpoint:
        base = settings.otlp_endpoint.rstrip("/")
        tracing = TracerProvider(resource=resource)
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces")))
        trace.set_tracer_provider(tracing)
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics")))
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=readers))


def trace_requests(app: FastAPI, settings: CommonSettings) -> None:
    """A span for each request, when a collector is configured; probes make none."""
    if settings.otlp_endpoint:
        FastAPIInstrumentor.instrument_app(
            app, excluded_urls="healthz,readyz,metrics", server_request_hook=without_query
        )


def without_query(span: trace.Span, _: Mapping[str, Any]) -> None:
    """Take the query out of a request's span: it says for whom somebody looks."""
    held: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    for name in {"http.url", "http.target", "url.full", "url.query"} & set(held):
        span.set_attribute(name, "" if name == "url.query" else str(held[name]).partition("?")[0])


def causes(messages: Sequence[Msg]) -> tuple[Context, list[trace.Link]]:
    """What a batch goes on with: the trace of its first message, and links to those of the others."""
    parent = propagate.extract(messages[0].headers or {})
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        return parent, []
    others = (trace.get_current_span(propagate.extract(each.headers or {})) for each in messages[1:MOST_LINKS])
    found = {span.get_span_context() for span in others if span.get_span_context().is_valid}
    return parent, [trace.Link(context) for context in found]


# The values of local variables are what people have sent: none of them belongs in a log.
_TRACES = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def flush() -> None:
    """Send what is still held: a process that ends by a signal has no other last word."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if isinstance(provider, TracerProvider | MeterProvider):
            provider.force_flush(FLUSH_MILLISECONDS)


def _with_trace(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def _logs(name: str, level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
        structlog.processors.ExceptionRenderer(_TRACES),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(default=str)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=name)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        foreign_pre_chain=shared,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
