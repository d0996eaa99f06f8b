"""What tests of principals share; not imported at run time."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

Client = Any  # an httpx.AsyncClient; only tests depend on it
Response = Any
GOOD = "a quiet grey harbour"


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def issue(admin: Client, *scopes: str, **changes: Any) -> dict[str, Any]:
    """A new API key, with its text."""
    answer = await admin.post("/v1/api-keys", json={"name": "Partner", "scopes": scopes, **changes})
    assert answer.status_code == 201, answer.text  # noqa: S101 (it serves tests)
    found: dict[str, Any] = answer.json()
    return found


async def rotate(client: Client, key_id: str, until: timedelta | None) -> Response:
    """A new text for a key; the old one is good for a while."""
    body = {} if until is None else {"previous_until": (datetime.now(UTC) + until).isoformat()}
    return await client.post(f"/v1/api-keys/{key_id}/rotate", json=body)


@dataclass
class Member:
    """Somebody on the staff, signed in."""

    id: str
    email: str
    password: str
    headers: dict[str, str]


async def sign_in(http: Client, email: str, password: str) -> Response:
    """One attempt."""
    return await http.post("/v1/staff/sessions", json={"email": email, "password": password})


async def hire(admin: Client, role: str, email: str, password: str = GOOD) -> Member:
    """An account whose first password was changed."""
    made = await admin.post(
        "/v1/staff/accounts", json={"email": email, "name": email.split("@", maxsplit=1)[0], "role": role}
    )
    made.raise_for_status()
    first = made.json()["one_time_password"]
    opened = (await sign_in(admin, email, first)).json()
    change = {"current_password": first, "new_password": password}
    changed = await admin.put("/v1/staff/me/password", json=change, headers=bearer(opened["token"]))
    changed.raise_for_status()
    return Member(made.json()["id"], email, password, bearer(changed.json()["token"]))


def problem(answer: Response) -> tuple[int, str]:
    """The status and the code of an error."""
    body: dict[str, Any] = answer.json()
    return answer.status_code, body["code"]


def published(key: Any, kid: str | None, algorithm: str, **extra: Any) -> dict[str, Any]:
    """The entry of a private key in a JWKS."""
    entry = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key()))
    return {**entry, **({"kid": kid} if kid else {}), **extra}
