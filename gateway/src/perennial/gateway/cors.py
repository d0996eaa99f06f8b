"""What browsers of other origins may do: no cookies are ever used, so every origin may."""

from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

_TRACKING_HEADERS = (
    "Authorization, Content-Type, X-Retry-Count, X-Write-Key, AnonymousId, SentAt, Rsa-Recovered, Rsa-Retry-Attempt, "
    "Rsa-Retry-Reason, Rsa-Since-Last-Attempt, Rsa-Since-First-Attempt, Idempotency-Key, traceparent, tracestate"
)
_CUSTOMER_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, traceparent, tracestate"
)

EXPOSED: Headers = [(b"access-control-expose-headers", b"Retry-After, RateLimit, RateLimit-Policy")]
_EVERYBODY: Headers = [(b"access-control-allow-origin", b"*")]
ANSWER: Headers = [*_EVERYBODY, *EXPOSED]
_VARY = (b"vary", b"Origin")
CUSTOMER_ANSWER: Headers = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        (
            b"ETag, Idempotent-Replayed, Link, Location, Preference-Applied, Retry-After, RateLimit, RateLimit-Policy, "
            b"X-Request-Id"
        ),
    ),
]


def _preflight(methods: str, headers: str) -> Headers:
    return [
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", headers.encode()),
        (b"access-control-max-age", b"86400"),
        (b"content-length", b"0"),
    ]


TRACKING_PREFLIGHT = _preflight("GET, POST, HEAD, OPTIONS", _TRACKING_HEADERS)
CUSTOMER_PREFLIGHT = [
    *_EVERYBODY, *_preflight("GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS", _CUSTOMER_HEADERS)
]  # fmt: skip


def allowed(scope: Scope) -> Headers:
    """Who may read an answer of the tracking API: an origin that some source lists is named, any other is not.

    A preflight cannot say which source it is for. That a source refuses other origins is decided by its key.
    """
    listed = scope["app"].state.edge.access.origins
    if not listed:
        return _EVERYBODY
    origin = dict(scope["headers"]).get(b"origin", b"")
    if listed.allows(origin.decode("latin-1")):
        return [(b"access-control-allow-origin", origin), _VARY]
    return [*_EVERYBODY, _VARY]
