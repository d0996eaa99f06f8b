"""One manual span per request at the edge; the trace travels on even when nobody collects spans."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("perennial.gateway")


@contextmanager
def span(name: str, headers: Mapping[bytes, bytes], attributes: Mapping[str, str | int]) -> Iterator[Span]:
    """A server span below the caller's `traceparent` if it sent a valid one, else the first of a new trace.

    Only W3C trace context is read: baggage of strangers goes nowhere.
    """
    sent = headers.get(b"traceparent")
    carrier = {"traceparent": sent.decode("latin-1")} if sent else {}
    if sent and (state := headers.get(b"tracestate")):
        carrier["tracestate"] = state.decode("latin-1")
    parent = _W3C.extract(carrier) if carrier else None
    with _tracer.start_as_current_span(
        name, context=parent, kind=SpanKind.SERVER, attributes=attributes, record_exception=False
    ) as started:
        if started.get_span_context().is_valid:
            yield started
            return
        with trace.use_span(_unsampled()) as made:
            yield made


def _unsampled() -> Span:
    context = SpanContext(
        trace_id=random.getrandbits(128) or 1,
        span_id=random.getrandbits(64) or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.DEFAULT),
    )
    return NonRecordingSpan(context)
