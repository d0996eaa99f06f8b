"""A masked identifier is not read by guessing."""

from typing import Any

import httpx
import pytest

from perennial.common.auth import Principal
from perennial.gateway.edge import Edge
from perennial.gateway.probes import is_probe
from perennial.gateway.rates import Rates

PHONE = "%2B8613812345678"


@pytest.mark.parametrize(
    ("fields", "query", "probe"),
    [
        ("", f"identifier=phone:{PHONE}", True),
        ("", f"limit=1&%69dentifier=ph%6fne%3A{PHONE}", True),
        ("", f"identifier=user_id:u1&identifier=phone:{PHONE}", True),
        ("", f"identifier=phone:{PHONE}&identifier=user_id:u1", True),
        ("", f"identifier=Phone:{PHONE}", True),
        ("", "identifier=%20phone:1", True),
        ("", "identifier=", True),
        ("", "identifier", True),
        ("", f"identifier=user_id:{PHONE}", True),
        ("", "identifier=user_id:u1", False),
        ("", "limit=1&cursor=x", False),
        ("", "", False),
        ("personal", "identifier=email:a@example.com", True),
        ("phone", f"identifier=phone:{PHONE}", False),
        ("sensitive", f"identifier=phone:{PHONE}", False),
        ("*", f"identifier=phone:{PHONE}", False),
        ("*", "identifier=", False),
    ],
)
def test_what_is_guessing(fields: str, query: str, probe: bool) -> None:
    principal = Principal("api_key", "x", frozenset(), fields=frozenset(fields.split()))
    assert is_probe(principal, query.encode()) is probe


async def key(admin: httpx.AsyncClient, *fields: str) -> dict[str, str]:
    body: dict[str, Any] = {"name": "x", "scopes": ["customers:read", "identities:read"], "fields": fields}
    return {"Authorization": f"Bearer {(await admin.post('/v1/api-keys', json=body)).json()['key']}"}


async def test_guesses_have_a_rate_of_their_own(admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge) -> None:
    blind, seeing = await key(admin), await key(admin, "phone")
    edge.rates = Rates(1000, 1000, probes=3)
    paths = (
        f"/v1/customers?identifier=phone:{PHONE}",
        f"/v1/identifiers?%69dentifier=phone:{PHONE}",
        "/v1/identifiers?identifier=nonsense",
        f"/v1/customers?identifier=user_id:x&identifier=phone:{PHONE}",
        f"/v1/identifiers?identifier=PHONE:{PHONE}",
    )
    answers = [await http.get(path, headers=blind) for path in paths]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 429, 429]
    assert '"lookup";q=3;w=60' in answers[0].headers.get_list("ratelimit-policy")
    assert answers[-1].json()["violated-policies"] == ["lookup"]
    assert (await http.head(paths[0], headers=blind)).status_code == 429
    assert (await http.get("/v1/customers?identifier=user_id:u1", headers=blind)).status_code == 503
    assert [(await http.get(paths[0], headers=seeing)).status_code for _ in range(5)] == [503] * 5


async def test_the_setting_counts(edge: Edge) -> None:
    assert edge.rates.take_probe(Principal("staff", "x", frozenset()))[0].quota == edge.settings.lookups_per_principal
