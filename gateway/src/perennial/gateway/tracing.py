"""Manual spans at the edge, one per request or per message; the trace travels on even when nobody collects spans."""

import random
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("perennial.gateway")


class span:  # noqa: N801 (it is used as a function: `with span(...)`)
    """A server span below the caller's `traceparent` if it sent a valid one, else the first of a new trace.

    Only W3C trace context is read: baggage of strangers goes nowhere. A class, because the generators of contextlib
    would cost a small request more than its validation does.
    """

    __slots__ = ("_span", "_token")

    def __init__(self, name: str, headers: Mapping[bytes, bytes], attributes: Mapping[str, str | int]) -> None:
        parent = _parent(headers)
        started = _tracer.start_span(name, parent, SpanKind.SERVER, attributes)
        self._span: Span = started if started.get_span_context().is_valid else _unsampled()

    def __enter__(self) -> Span:
        self._token: Token[Context] = context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        if error is not None:
            failed(self._span, error)
        self._span.end()


class followed:  # noqa: N801 (as above)
    """The same for a request that bears a trace; others get that of the message they travel in (`begin`).

    A span for each single event would cost half as much as taking it in does.
    """

    __slots__ = ("_span",)

    def __init__(self, name: str, headers: Mapping[bytes, bytes], attributes: Mapping[str, str | int]) -> None:
        self._span = span(name, headers, attributes) if b"traceparent" in headers else None

    def __enter__(self) -> None:
        if self._span is not None:
            self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.__exit__(kind, error, traceback)


def begin(name: str, attributes: Mapping[str, str | int]) -> Span | None:
    """Make sure that what follows in this context belongs to a trace; the span of a new one, for the caller to end."""
    if trace.get_current_span().get_span_context().is_valid:
        return None
    started = _tracer.start_span(name, Context(), SpanKind.SERVER, attributes)
    begun = started if started.get_span_context().is_valid else _unsampled()
    context.attach(trace.set_span_in_context(begun))
    return begun


def failed(begun: Span | None, error: BaseException) -> None:
    """Note on a span why it failed."""
    if begun is not None:
        begun.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _parent(headers: Mapping[bytes, bytes]) -> Context | None:
    sent = headers.get(b"traceparent")
    if not sent:
        return None
    carrier = {"traceparent": sent.decode("latin-1")}
    if state := headers.get(b"tracestate"):
        carrier["tracestate"] = state.decode("latin-1")
    return _W3C.extract(carrier)


def _unsampled() -> Span:
    return NonRecordingSpan(
        SpanContext(
            trace_id=random.getrandbits(128) or 1,
            span_id=random.getrandbits(64) or 1,
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.DEFAULT),
        )
    )
