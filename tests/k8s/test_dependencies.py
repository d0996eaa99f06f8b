"""The dependency map says what the code does: who calls, who reaches strangers, who publishes and hears what."""

import ast
import re
from collections.abc import Iterator

import pytest

from deploy.k8s.generate.dependencies import dependencies
from deploy.k8s.generate.external import sources
from deploy.k8s.generate.streams import planned
from perennial.common import service as services
from perennial.common.contracts.gateway import STREAM as INGEST
from perennial.common.contracts.identity import RESOLVED_STREAM
from tests.k8s.rules.scaling import consumers_of

# What opens sockets: allowed where the map has an edge for it, and nowhere else.
EGRESS, MAIL = "perennial.common.egress", "aiosmtplib"
PUBLISH = re.compile(r"\b(runtime|_?js|nats|client)\.publish\(")
SOCKETS = {"aiohttp", "httpx", "httpx2", "requests", "urllib3", "urllib.request", "http.client", "smtplib", "socket"}


def _imports(name: str) -> Iterator[str]:
    """Modules that the service's own code imports, its tests and fakes left out."""
    for path, text in sources(services.load(name)).items():
        if "testing" in path.parts or path.name == "testing.py":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_map_is_about_every_service() -> None:
    assert sorted(dependencies()) == services.names()


@pytest.mark.parametrize("name", services.names())
def test_who_calls_is_told_addresses(name: str) -> None:
    told = "services" in services.load(name).settings.model_fields
    assert dependencies()[name].calls == ([other for other in services.names() if other != name] if told else [])


@pytest.mark.parametrize("name", services.names())
def test_who_reaches_strangers_imports_what_does(name: str) -> None:
    found = set(_imports(name))
    reaches = (["https"] if EGRESS in found else []) + (["smtp"] if MAIL in found else [])
    assert sorted(dependencies()[name].reaches) == reaches
    sockets = found & SOCKETS
    assert sockets <= {"aiohttp"}, "opens sockets past common.egress: say in the map where to"
    assert not sockets or dependencies()[name].calls or "https" in reaches


@pytest.mark.parametrize("name", services.names())
def test_what_a_service_hears(name: str) -> None:
    said = {(stream, one) for stream, consumers in dependencies()[name].hears.items() for one in consumers}
    assert said == consumers_of(name)


@pytest.mark.parametrize("name", services.names())
def test_what_a_service_publishes(name: str) -> None:
    hot = {"gateway": [INGEST], "identity": [RESOLVED_STREAM]}.get(name, [])
    found = services.load(name)
    assert sorted(dependencies()[name].publishes) == sorted([*([found.stream] if found.emits else []), *hot])


def test_only_two_publish_past_the_outbox() -> None:
    past = {name for name in services.names() if any(PUBLISH.search(t) for t in sources(services.load(name)).values())}
    assert past == {"gateway", "identity"}


def test_every_stream_has_somebody_who_publishes_and_somebody_who_hears() -> None:
    said = dependencies().values()
    assert {stream for one in said for stream in one.publishes} == set(planned().streams)
    assert {stream for one in said for stream in one.hears} == set(planned().streams)
