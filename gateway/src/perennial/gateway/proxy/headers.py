"""Which headers cross the edge, inwards and outwards."""

from collections.abc import Iterable, Sequence

from opentelemetry import propagate

RawHeaders = Sequence[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"trailers", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
# What the gateway says itself, and what nobody outside may say to a service.
_OURS = frozenset(
    {
        b"host", b"authorization", b"cookie", b"expect", b"forwarded", b"via", b"x-real-ip", b"x-request-id",
        b"x-http-method-override", b"traceparent", b"tracestate", b"baggage",
    }
)  # fmt: skip
_OUR_PREFIXES = (b"x-forwarded-", b"x-internal-", b"x-perennial-")
_ANSWERED_BY_US = frozenset({b"date", b"server", b"x-request-id", b"set-cookie"})


def inwards(headers: RawHeaders, request_id: str, authorization: str | None) -> list[tuple[str, str]]:
    """What a service gets to see: the client's headers without those that only the gateway may write."""
    listed = _listed(headers)
    kept = [
        (name.decode("latin-1"), value.decode("utf-8", "replace"))
        for name, value in headers
        if name not in _HOP_BY_HOP and name not in listed and not _is_ours(name)
    ]
    trace: dict[str, str] = {}
    propagate.inject(trace)
    kept += [("x-request-id", request_id), *trace.items()]
    if authorization:
        kept.append(("authorization", authorization))
    return kept


def _is_ours(name: bytes) -> bool:
    """Also with underscores: what reads a header by another rule must not find what we did not write."""
    dashed = name.replace(b"_", b"-")
    return dashed in _OURS or dashed.startswith(_OUR_PREFIXES)


def outwards(headers: Iterable[tuple[bytes, bytes]], base: str) -> list[tuple[bytes, bytes]]:
    """What the client gets to see; a Location on the service's own address becomes a path."""
    lowered = [(name.lower(), value) for name, value in headers]
    listed = _listed(lowered)
    kept = [
        (name, value.removeprefix(base.encode()) if name == b"location" else value)
        for name, value in lowered
        if name not in _HOP_BY_HOP and name not in _ANSWERED_BY_US and name not in listed
    ]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return kept


def _listed(headers: RawHeaders) -> frozenset[bytes]:
    """The names that `Connection` declares to be hop by hop."""
    return frozenset(
        part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")
    )
