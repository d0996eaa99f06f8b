"""One document for the whole platform, served to everybody."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from perennial.common.contracts import catalogue
from perennial.gateway.openapi.merge import merge
from perennial.gateway.proxy.routes import METHODS
from perennial.gateway.tracking.api import BATCH_PATHS, SINGLE_PATHS


def loyalty(**operation: Any) -> dict[str, Any]:
    schemas = {
        "Item": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Item"}}},
        "ProblemBody": {"title": "the common one"},
    }
    return {
        "paths": {
            "/v1/loyalty/summary": {"get": {"operationId": "loyalty_summary", **operation}},
            "/v1/me/loyalty": {"parameters": [], "get": {"operationId": "mine"}},
            "/healthz": {"get": {}},
        },
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {}}},
    }


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def unresolved(document: dict[str, Any]) -> list[str]:
    missing = []
    for reference in set(references(document)):
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
        if at is None:
            missing.append(reference)
    return missing


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_names_are_prefixed_and_problems_shared() -> None:
    document = merge({"loyalty": loyalty(), "tickets": {**loyalty(), "paths": {}}}, "1")
    schemas = document["components"]["schemas"]
    assert {"loyalty_Item", "tickets_Item", "ProblemBody"} <= set(schemas)
    assert schemas["loyalty_Item"]["properties"]["next"] == {"$ref": "#/components/schemas/loyalty_Item"}
    assert "code" in schemas["ProblemBody"]["properties"]
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "staffSession", "bearer", "writeKey"}
    assert unresolved(document) == []


def test_operations() -> None:
    document = merge({"loyalty": loyalty()}, "1")
    assert set(document["paths"]) == {"/v1/loyalty/summary", "/v1/me/loyalty"}
    summary, mine = document["paths"]["/v1/loyalty/summary"]["get"], document["paths"]["/v1/me/loyalty"]["get"]
    assert (summary["operationId"], mine["operationId"]) == ("loyalty_summary", "loyalty_mine")
    assert (summary["security"], mine["security"]) == (alternatives("loyalty:read"), [{"bearer": []}])
    assert "`loyalty:read`" in summary["description"]
    assert {"401", "403", "414", "429", "431", "502", "503", "504"} <= set(summary["responses"])
    assert "413" not in summary["responses"]
    spend = merge({"loyalty": loyalty(requestBody={"content": {}})}, "1")["paths"]["/v1/loyalty/summary"]["get"]
    assert {"408", "413"} <= set(spend["responses"])
    assert document["components"]["responses"]["Problem429"]["headers"].keys() >= {"Retry-After", "RateLimit"}


def alternatives(scope: str) -> list[dict[str, list[str]]]:
    return [{"apiKey": [scope]}, {"staffSession": [scope]}, {"bearer": [scope]}]


def test_a_problem_that_says_more_than_its_status_is_kept() -> None:
    plain = {"description": "Conflict", "content": {"application/problem+json": {"schema": {}}}}
    said = {"409": plain, "422": {**plain, "description": "Not so many at once."}}
    found = merge({"loyalty": loyalty(responses=said)}, "1")["paths"]["/v1/loyalty/summary"]["get"]["responses"]
    assert found["409"] == {"$ref": "#/components/responses/Problem409"}
    assert found["422"]["description"] == "Not so many at once."


def test_what_is_made_and_what_is_listed_is_linked() -> None:
    row = {"type": "object", "properties": {"id": {"type": "string"}}}
    page = {"type": "object", "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}}}
    answers = {"post": ("201", {"$ref": "#/components/schemas/Row"}), "get": ("200", page)}
    made = {
        method: {
            "operationId": f"s_{method}",
            "responses": {status: {"content": {"application/json": {"schema": schema}}}},
        }
        for method, (status, schema) in answers.items()
    }
    paths = {"/v1/rows": made, "/v1/rows/{row_id}": {"get": {"operationId": "s_show"}}}
    found = merge({"s": {"paths": paths, "components": {"schemas": {"Row": row}}}}, "1")["paths"]["/v1/rows"]
    link = {"operationId": "s_show", "parameters": {"row_id": "$response.body#/id"}}
    assert found["post"]["responses"]["201"]["links"] == {"s_show": link}
    assert found["get"]["responses"]["200"]["links"]["s_show"]["parameters"] == {"row_id": "$response.body#/items/0/id"}


def test_public_operations_stay_public() -> None:
    operation = merge({"loyalty": loyalty(security=[])}, "1")["paths"]["/v1/loyalty/summary"]["get"]
    assert operation["security"] == []
    assert "401" not in operation["responses"]


async def test_openapi(http: httpx.AsyncClient) -> None:
    answer = await http.get("/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert unresolved(document) == []
    found = operations(document)
    names = [operation["operationId"] for _, _, operation in found]
    assert len(names) == len(set(names))
    assert all("security" in operation and operation["responses"] for _, _, operation in found)
    validate(document)
    for path, method, operation in found:
        statuses = set(operation["responses"])
        assert {"414", "431"} <= statuses, path
        assert operation["security"] == [] or "401" in statuses, path
        assert "requestBody" not in operation or "413" in statuses, path
        assert "{" not in path or "404" in statuses, path
        assert method != "patch" or "application/merge-patch+json" in operation["requestBody"]["content"], path
    assert {*BATCH_PATHS, *SINGLE_PATHS, "/v1/sources", "/v1/api-keys", "/v1/customer-tokens"} <= set(document["paths"])
    again = await http.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_every_documented_route_knows_its_principals(http: httpx.AsyncClient) -> None:
    """No documented operation but the public ones answers a stranger."""
    document = (await http.get("/openapi.json")).json()
    for path, method, operation in operations(document):
        if operation["security"] == [] or {} in operation["security"]:
            continue
        answer = await http.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, (method, path)


async def test_asyncapi(http: httpx.AsyncClient) -> None:
    document = (await http.get("/asyncapi.json")).json()
    assert document["asyncapi"] == "3.0.0"
    assert unresolved(document) == []
    assert set(catalogue()) | {"gateway.events.accepted.v1"} <= set(document["channels"])
    partitioned = document["channels"]["identity.events.resolved.v1"]
    assert partitioned["address"] == "identity.events.resolved.v1.{partition}"
    assert {operation["action"] for operation in document["operations"].values()} <= {"send", "receive"}


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/docs", "text/html"), ("/docs/docs.js", "text/javascript"), ("/docs/docs.css", "text/css")],
)
async def test_the_docs_page_needs_no_other_host(http: httpx.AsyncClient, path: str, media_type: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_others_are_served_while_a_document_is_written(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noting(*said: Any) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return merge(*said)

    monkeypatch.setattr("perennial.gateway.openapi.api.merge", noting)
    answers = await asyncio.gather(*(http.get("/openapi.json") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(threads) == 1, "it is written once"
    assert threads[0] is not threading.main_thread()
