"""What crosses the edge."""

from perennial.gateway.proxy.headers import inwards, outwards


def test_inwards() -> None:
    sent = [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer psk"),
        (b"cookie", b"a=b"),
        (b"connection", b"keep-alive, X-Secret"),
        (b"x-secret", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"te", b"trailers"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-internal-principal", b"root"),
        (b"x-perennial-role", b"root"),
        (b"x_internal_principal", b"root"),
        (b"x_forwarded_for", b"1.2.3.4"),
        (b"baggage", b"a=b"),
        (b"traceparent", b"forged"),
        (b"x-request-id", b"forged"),
        (b"content-type", b"application/json"),
        (b"idempotency-key", b'"k"'),
        (b"if-match", b'"3"'),
        (b"x-name", "Zoë".encode()),
        (b"x-name", b"\xff"),
    ]
    assert inwards(sent, "req-1", "Bearer internal") == [
        ("content-type", "application/json"),
        ("idempotency-key", '"k"'),
        ("if-match", '"3"'),
        ("x-name", "Zoë"),
        ("x-name", "\ufffd"),
        ("x-request-id", "req-1"),
        ("authorization", "Bearer internal"),
    ]


def test_outwards() -> None:
    answered = [
        (b"Content-Type", b"application/json"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Date", b"today"),
        (b"Server", b"uvicorn"),
        (b"Set-Cookie", b"a=b"),
        (b"Location", b"http://127.0.0.1:4001/v1/x/1"),
        (b"ETag", b'"3"'),
    ]
    assert outwards(answered, "http://127.0.0.1:4001") == [
        (b"content-type", b"application/json"),
        (b"location", b"/v1/x/1"),
        (b"etag", b'"3"'),
        (b"cache-control", b"no-store"),
    ]


def test_a_service_may_allow_caching() -> None:
    assert outwards([(b"Cache-Control", b"max-age=5")], "") == [(b"cache-control", b"max-age=5")]
