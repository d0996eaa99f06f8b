"""A span for each statement, where a collector is configured: OpenTelemetry's instrumentor refuses SQLAlchemy 2.1.

What goes by COPY or straight through asyncpg shows as the time between them.
"""

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from sqlalchemy import event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

LONGEST = 1_000  # of a statement's text; values are bound, so there are none in it
_tracer = trace.get_tracer("perennial.db")


def install(engine: AsyncEngine) -> None:
    """From now on."""
    event.listen(engine.sync_engine, "before_cursor_execute", _begin)
    event.listen(engine.sync_engine, "after_cursor_execute", _end)
    event.listen(engine.sync_engine, "handle_error", _fail)


def _begin(_: Connection, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:  # noqa: FBT001 (SQLAlchemy's call)
    text = " ".join(statement[:LONGEST].split())
    attributes = {"db.system.name": "postgresql", "db.query.text": text}
    context.perennial_span = _tracer.start_span(f"SQL {text[:60]}", kind=SpanKind.CLIENT, attributes=attributes)


def _end(_: Connection, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:  # noqa: FBT001 (as above)
    context.perennial_span.end()


def _fail(failure: ExceptionContext) -> None:
    span = getattr(failure.execution_context, "perennial_span", None)
    if span is not None:
        span.set_status(Status(StatusCode.ERROR, type(failure.original_exception).__name__))
        span.end()
