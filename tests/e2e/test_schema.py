"""The merged OpenAPI document against the platform that it describes: schemathesis, all checks, all phases.

PERENNIAL_SCHEMA_EXAMPLES (3) is how many examples each operation gets while fuzzing, PERENNIAL_SCHEMA_SEED where they
come from: `make test` asks the same of every revision, `make schema` takes many, and others each time.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perennial.gateway import permissions
from perennial.gateway.permissions import CUSTOMER, RULES, STAFF, WRITE_KEY
from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("PERENNIAL_SCHEMA_EXAMPLES", "3"))
SEED = os.environ.get("PERENNIAL_SCHEMA_SEED", "1")
OWNER, PASSWORD = "owner@shop.example", "a-Password-of-23-letters"
CONFIG = """
color = false
hooks = "tests.e2e.schema_hooks"
continue-on-failure = true
workers = 2
request-timeout = 30
suppress-health-check = ["all"]
[generation]
max-examples = {examples}
database = "none"
[phases.stateful]
max-steps = 6
generation = {{ max-examples = {sequences} }}
[phases.coverage]
generate-duplicate-query-parameters = true
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 414, 415, 422, 428, 429]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 415, 422, 428]
"""
THINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "segment_id": ("/v1/segments", {"name": "all", "rule": {"everyone": True}}),
    "journey_id": ("/v1/journeys", {"name": "hello", "definition": {
        "trigger": {"event": "Signed Up"}, "steps": [{"id": "rest", "kind": "wait", "for": "PT1H"}]}}),
    "webhook_id": ("/v1/webhooks", {"url": "http://127.0.0.1:9/", "event_types": ["loyalty.points.earned.v1"]}),
    "rule_id": ("/v1/dispatch-rules", {"name": "all", "rule": {"everyone": True}}),
    "source_id": ("/v1/sources", {"name": "another"}),
    "key_id": ("/v1/api-keys", {"name": "another", "scopes": ["loyalty:read"]}),
}  # fmt: skip
KNOWN = """
[dictionaries.{name}]
values = {values}
[parameters."path.{name}"]
dictionary = "{name}"
probability = 0.6
"""
OPERATION = """
[[operations]]
include-path = {paths}
headers = {{ Authorization = "{authorization}" }}
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own: the others' stories must not meet what is thrown at it."""
    env = {
        "PERENNIAL_DEV_OWNER_EMAIL": OWNER,
        "PERENNIAL_DEV_OWNER_PASSWORD": PASSWORD,
        "PERENNIAL_EGRESS_ALLOW_CIDRS": '["127.0.0.0/8"]',
        "PERENNIAL_RATE_PER_ADDRESS": "1000000",
        "PERENNIAL_RATE_PER_PRINCIPAL": "1000000",
    }
    with Platform(tmp_path_factory.mktemp("schema"), port=0, env=env) as running:
        yield running


def answered(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def made(shop: Shop, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return answered(shop.http.post(path, json=body, headers={**shop.headers, "Idempotency-Key": shop.mark}))


@pytest.fixture(scope="module")
def principals(alone: Platform) -> dict[str, str]:
    """`Authorization` for each kind of rule, ids of what is there, and the ids that must not be touched."""
    shop = Shop(alone.gateway_url, alone.write_key, alone.api_key)
    key = answered(shop.http.post("/v1/api-keys", json={"name": "schema", "scopes": ["*"], "fields": ["*"]},
                                  headers=shop.headers))  # fmt: skip
    source = answered(shop.http.post("/v1/sources", json={"name": "schema"}, headers=shop.headers))
    session = answered(shop.http.post("/v1/staff/sessions", json={"email": OWNER, "password": PASSWORD}))
    user = shop.user("ann")
    shop.deliver([shop.event("identify", user, traits={"email": "ann@shop.example"}), shop.order(user, "12.50")])

    def found() -> str | None:
        query = {"identifier": f"user_id:{user}"}
        items = answered(shop.http.get("/v1/customers", params=query, headers=shop.headers))["items"]
        return items[0]["id"] if items else None

    customer = until(found)
    token = answered(shop.http.post("/v1/customer-tokens", json={"customer_id": customer, "ttl_seconds": 86_400},
                                    headers={"Authorization": f"Bearer {key['key']}"}))  # fmt: skip
    staff = {"Authorization": f"Bearer {session['token']}"}
    account = answered(shop.http.get("/v1/staff/me", headers=staff))["id"]
    writes = httpx.BasicAuth(source["write_keys"][0]["key"], "")
    basic = next(writes.auth_flow(httpx.Request("GET", alone.gateway_url))).headers["Authorization"]
    ticket = {"customer_id": customer, "type": "question", "subject": "Hello", "description": "Where is it?"}
    known = {name: [made(shop, path, body)["id"]] for name, (path, body) in THINGS.items()}
    known["ticket_id"] = [made(shop, "/v1/tickets", ticket)["id"]]
    known |= {"customer_id": [customer], "id": [customer], "key": ["always", "question"], "name": ["email", "agent"]}
    shop.http.close()
    return {
        CUSTOMER: f"Bearer {token['token']}",
        STAFF: staff["Authorization"],
        WRITE_KEY: basic,
        "": f"Bearer {key['key']}",
        "known": "".join(KNOWN.format(name=name, values=values) for name, values in known.items()),
        "own": " ".join([key["id"], source["id"], session["id"], account, "current", "development"]),
    }


def configuration(principals: dict[str, str]) -> str:
    """Who asks for what, by the table of permissions."""
    said = CONFIG.format(examples=EXAMPLES, sequences=EXAMPLES * 5)
    for rule in (CUSTOMER, STAFF, WRITE_KEY, ""):
        scoped = "" if rule else permissions.KNOWN
        paths = sorted({
            path for (_, path), known in RULES.items()
            if known in {rule, scoped} or (":" in known and not rule)
        })  # fmt: skip
        said += OPERATION.format(paths=paths, authorization=principals[rule]).replace("'", '"')
    return said + principals["known"].replace("'", '"')


# Python 3.11 loses count of a deep parse now and then (cpython 106905), when hypothesis looks at a lambda's source.
PYTHON_FAULT = "AST constructor recursion depth mismatch"


@pytest.mark.timeout(3600)
def test_the_document_tells_the_truth(alone: Platform, principals: dict[str, str], tmp_path: Path) -> None:
    config, report = tmp_path / "schemathesis.toml", tmp_path / "report.txt"
    config.write_text(configuration(principals))
    arguments = ["--config-file", str(config), "run", "--seed", SEED, f"{alone.gateway_url}/openapi.json"]
    for _ in range(3):
        with report.open("w") as output:
            done = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", *arguments],
                cwd=ROOT,
                env={**os.environ, "PERENNIAL_SCHEMA_OWN": principals["own"], "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode == 0 or PYTHON_FAULT not in report.read_text():
            break
    assert done.returncode == 0, report.read_text().rpartition("= FAILURES =")[2][:20_000]
