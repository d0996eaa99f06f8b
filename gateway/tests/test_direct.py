"""Which paths are the gateway's own."""

import re

import pytest
from fastapi import FastAPI
from starlette.routing import Match, Mount, Route

from perennial.common.web.app import create_app, no_lifespan
from perennial.gateway.direct import Paths, templates_of
from perennial.gateway.main import SERVICE


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(SERVICE, None, no_lifespan)


def test_every_route_of_the_framework_is_known(app: FastAPI) -> None:
    own = list(templates_of(app.router.routes))
    assert {"/healthz", "/openapi.json", "/v1/sources", "/v1/me/export", "/v1/audit/gateway"} <= set(own)
    paths = Paths(own)
    assert all(template.replace("{", "a").replace("}", "z") in paths for template in own)
    segments = {segment for template in own for segment in template.split("/")}
    assert all(re.fullmatch(r"\{\w+\}|[^{}]*", segment) for segment in segments), "a parameter is a segment, whole"
    assert not any(isinstance(route, Mount) for route in app.router.routes), "what lies below a mount is not known"


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/v1", "/v1/", "/v1/sources", "/v1/sources/", "/v1/sources/x", "/v1/sources//x", "//v1/sources",
        "/v1/sources/x/tracking-plan", "/v1/sources/x/tracking-plan/versions/3", "/v1/sources/x/y", "/v1/sources/客户",
        "/v1/customers/a/export", "/v1/customers/a", "/v1/customers//export", "/v1/loyalty/accounts/a/spend",
        "/v1/me/export/file", "/v1/me", "/healthz", "/healthz/", "/docs", "/v1/roles/a/fields", "/v1/roles/a/b",
    ],
)  # fmt: skip
def test_a_path_is_own_where_the_framework_would_match_it(app: FastAPI, path: str) -> None:
    own = list(templates_of(app.router.routes))
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    matched = any(Route(template, print).matches(scope)[0] is not Match.NONE for template in own)
    assert (path in Paths(own)) is matched
