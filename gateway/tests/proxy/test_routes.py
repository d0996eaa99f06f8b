"""Which service answers which path."""

import pytest

from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.proxy.routes import RouteTable

TABLE = RouteTable(
    {
        "profile": {"paths": {"/v1/customers": {"get": {}}, "/v1/customers/{id}": {"get": {}}, "/v1/me": {"get": {}}}},
        "identity": {
            "paths": {"/v1/customers/{customer_id}/identifiers": {"get": {}}, "/v1/customers/{id}": {"delete": {}}}
        },
        "tickets": {"paths": {"/v1/me/tickets": {"get": {}, "post": {}}, "/v1/customers/new/tickets": {"get": {}}}},
        "integrations": {"paths": {"/v1/hooks/{source}": {"post": {"security": []}, "get": {}}}},
    }
)


@pytest.mark.parametrize(
    ("path", "method", "service"),
    [
        (b"/v1/customers", "GET", "profile"),
        (b"/v1/customers/42", "GET", "profile"),
        (b"/v1/customers/42", "DELETE", "identity"),
        (b"/v1/customers/a%20b", "GET", "profile"),
        (b"/v1/customers/42/identifiers", "GET", "identity"),
        (b"/v1/customers/new/tickets", "GET", "tickets"),
        (b"/v1/customers/new/identifiers", "GET", "identity"),
        (b"/v1/me", "GET", "profile"),
        (b"/v1/me/tickets", "POST", "tickets"),
    ],
)
def test_services_by_path_and_method(path: bytes, method: str, service: str) -> None:
    route = TABLE.match(path)
    assert route is not None
    assert route.services[method] == service


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"",
        b"/v1",
        b"/v1/customers/",
        b"//v1/customers",
        b"/v1//customers",
        b"/v1/customers/..",
        b"/v1/customers/%2e%2e/identifiers",
        b"/v1/customers/./identifiers",
        b"/v1/customers/a%2Fb",
        b"/v1/customers/a%5Cb",
        b"/v1/customers/a%00",
        b"/v1/customers/a%0d%0aX: y",
        b"/v1/customers/%ff",
        b"/v1/customers/1/2/3",
        b"/healthz",
        b"/metrics",
    ],
)
def test_unknown_paths_and_tricks(path: bytes) -> None:
    assert TABLE.match(path) is None


def test_two_services_cannot_claim_one_operation() -> None:
    with pytest.raises(ValueError, match="GET /v1/a is claimed by one and by two"):
        RouteTable({"one": {"paths": {"/v1/a": {"get": {}}}}, "two": {"paths": {"/v1/a": {"get": {}}}}})


def test_every_committed_path_is_routed() -> None:
    snapshots = read_snapshots()
    table = RouteTable(snapshots)
    for service, document in snapshots.items():
        for template, operations in document["paths"].items():
            route = table.match(template.replace("{", "").replace("}", "").encode())
            assert route is not None, template
            assert {route.services[method.upper()] for method in operations} == {service}


@pytest.mark.parametrize("name", [b"a%2Fb", b"a%5Cb", b"a%0Ab", b"%E2%80%8B", b"a%2F..%2F..%2Fmetrics", b"x%2Freveal"])
def test_a_message_id_is_any_text(name: bytes) -> None:
    table = RouteTable(read_snapshots())
    event = table.match(b"/v1/events/" + name)
    assert event is not None
    assert (event.template, set(event.services)) == ("/v1/events/{message_id}", {"GET"})
    assert table.match(b"/v1/segments/" + name) is None
    assert table.match(b"/v1/events/%2e%2e") is None
