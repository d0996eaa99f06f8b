"""What browsers of other origins may do: no cookies are ever used, so every origin may."""

Headers = list[tuple[bytes, bytes]]

_TRACKING_HEADERS = (
    "Authorization, Content-Type, X-Retry-Count, X-Write-Key, AnonymousId, SentAt, Rsa-Recovered, Rsa-Retry-Attempt, "
    "Rsa-Retry-Reason, Rsa-Since-Last-Attempt, Rsa-Since-First-Attempt, Idempotency-Key, traceparent, tracestate"
)
_CUSTOMER_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent, tracestate"

ANSWER: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Retry-After, RateLimit, RateLimit-Policy"),
]
CUSTOMER_ANSWER: Headers = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"ETag, Idempotent-Replayed, Link, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id",
    ),
]


def _preflight(methods: str, headers: str) -> Headers:
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", headers.encode()),
        (b"access-control-max-age", b"86400"),
        (b"content-length", b"0"),
    ]


TRACKING_PREFLIGHT = _preflight("GET, POST, HEAD, OPTIONS", _TRACKING_HEADERS)
CUSTOMER_PREFLIGHT = _preflight("GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS", _CUSTOMER_HEADERS)
