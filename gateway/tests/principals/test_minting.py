"""Who may become a customer: only whoever may see the customer in clear, and never without a trace."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.gateway.edge import Edge
from perennial.gateway.principals.testing import bearer, hire, problem, published

ANY = {"If-Match": "*"}


async def key(admin: httpx.AsyncClient, *scopes: str, **extra: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/api-keys", json={"name": "x", "scopes": scopes, **extra})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def mint(http: httpx.AsyncClient, headers: dict[str, str], customer: str | None = None) -> httpx.Response:
    return await http.post("/v1/customer-tokens", json={"customer_id": customer or str(uuid4())}, headers=headers)


async def let_in(http: httpx.AsyncClient, token: str) -> str:
    return str((await http.get("/v1/me", headers=bearer(token))).json()["code"])


def issuer() -> dict[str, Any]:
    public = published(ed25519.Ed25519PrivateKey.generate(), "1", "EdDSA")
    return {"name": "x", "issuer": f"https://{uuid4()}.example", "audience": "app", "jwks": {"keys": [public]}}


async def test_a_masked_principal_signs_nobody_in(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = (await admin.post("/v1/token-issuers", json=issuer())).json()["id"]
    path, disabled = f"/v1/token-issuers/{made}", {"enabled": False}
    for extra, fields, status in (
        ([], [], 403),
        ([], ["personal"], 403),
        (["customers:reveal"], [], 0),
        ([], ["*"], 0),
    ):
        shown = bearer((await key(admin, "tokens:*", *extra, fields=fields))["key"])
        answers = [
            await mint(http, shown),
            await http.post("/v1/token-issuers", json=issuer(), headers=shown),
            await http.patch(path, json=disabled, headers=shown | ANY),
        ]
        assert [answer.status_code for answer in answers] == ([status] * 3 if status else [201, 201, 200])
        assert all("customers:reveal" in answer.json()["message"] for answer in answers if status)
    narrow = bearer((await key(admin, "tokens:*"))["key"])
    assert (await http.delete(path, headers=narrow)).status_code == 204, "to believe nobody shows nothing"


@pytest.mark.parametrize("scope", ["tokens:mint", "tokens:write", "tokens:*"])
async def test_nor_hands_it_on(admin: httpx.AsyncClient, http: httpx.AsyncClient, scope: str) -> None:
    body = {"name": "heir", "scopes": [scope]}
    narrow = await key(admin, "tokens:*", "keys:write")
    refused = await http.post("/v1/api-keys", json=body, headers=bearer(narrow["key"]))
    assert problem(refused) == (403, "insufficient_scope")
    assert "customers:reveal" in refused.json()["message"]
    wide = await key(admin, "tokens:*", "keys:write", "customers:reveal")
    assert (await http.post("/v1/api-keys", json=body, headers=bearer(wide["key"]))).status_code == 201


async def test_every_mint_is_on_the_record(admin: httpx.AsyncClient, live_runtime: Runtime) -> None:
    customer = str(uuid4())
    token = (await mint(admin, {}, customer)).json()["token"]
    async with live_runtime.database.read() as session:
        rows = (await session.execute(text("SELECT * FROM audit WHERE action = 'customer_token.minted'"))).all()
    (row,) = rows
    assert (row.principal, row.subject) == ("api_key:development", f"customer/{customer}")
    assert row.detail == {"ttl_seconds": 3600}
    assert token.rsplit(".", 1)[1] not in str(row)


async def test_a_token_ends_with_the_session_that_minted_it(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge
) -> None:
    ann = await hire(admin, "admin", "ann@example.com")
    token = (await mint(http, ann.headers)).json()["token"]
    assert await let_in(http, token) == "service_unavailable", "it was let through"
    memory = edge.access.principals
    memory.sessions, memory._digests = {}, {}
    assert await let_in(http, token) == "service_unavailable", "another process asks the database"
    assert (await http.delete("/v1/staff/sessions/current", headers=ann.headers)).status_code == 204
    assert await let_in(http, token) == "token_revoked"


async def test_and_with_the_account(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    bob = await hire(admin, "admin", "bob@example.com")
    token = (await mint(http, bob.headers)).json()["token"]
    changed = await admin.patch(f"/v1/staff/accounts/{bob.id}", json={"disabled": True}, headers=ANY)
    assert changed.status_code == 200
    assert await let_in(http, token) == "token_revoked"


async def test_a_key_that_is_forgotten_meanwhile_mints_nothing(
    admin: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgotten(_: str) -> None:
        return None

    monkeypatch.setattr(edge.access.principals, "key_by_id", forgotten)
    assert problem(await mint(admin, {})) == (401, "invalid_key")


async def test_a_key_that_is_revoked_meanwhile_issues_nothing(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: Runtime
) -> None:
    made = await key(admin, "keys:write")
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE api_key SET revoked_at = now() WHERE id = :id"), {"id": made["id"]})
    answer = await http.post("/v1/api-keys", json={"name": "x", "scopes": ["keys:write"]}, headers=bearer(made["key"]))
    assert problem(answer) == (401, "invalid_key")
