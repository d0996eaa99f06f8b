"""Guessing passwords: counted whatever happens, refused alike whoever it is."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.principals.accounts.passwords import Passwords
from perennial.gateway.principals.sessions import queries
from perennial.gateway.principals.testing import GOOD, bearer, hire, problem, sign_in
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started

WRONG = "a wrong grey harbour"


@pytest.fixture
def gateway_settings(gateway_settings: GatewaySettings) -> GatewaySettings:
    return gateway_settings.model_copy(update={"logins_per_address": 100_000})


async def locked_for(runtime: ServiceRuntime) -> float:
    async with runtime.database.read() as session:
        found = await session.execute(
            text("SELECT extract(epoch FROM max(locked_until) - clock_timestamp()) FROM staff_attempt")
        )
        return float(found.scalar_one() or 0)


async def passes(runtime: ServiceRuntime) -> None:
    """The lock-out runs out."""
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE staff_attempt SET locked_until = now() - interval '1 second'"))


async def test_five_failures_then_a_minute_doubling_to_an_hour(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    for _ in range(4):
        assert problem(await sign_in(http, ann.email, WRONG)) == (401, "invalid_credentials")
    assert await locked_for(live_runtime) == 0
    for seconds in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        assert (await sign_in(http, ann.email, WRONG)).status_code == 401
        assert seconds - 5 < await locked_for(live_runtime) <= seconds
        assert problem(await sign_in(http, ann.email, GOOD)) == (401, "invalid_credentials")
        assert seconds - 5 < await locked_for(live_runtime) <= seconds, "an attempt while locked out lengthens nothing"
        await passes(live_runtime)
    assert (await sign_in(http, ann.email, GOOD)).status_code == 201
    for _ in range(4):
        await sign_in(http, ann.email, WRONG)
    assert (await sign_in(http, ann.email, GOOD)).status_code == 201, "a success starts the count again"
    assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200, "who is signed in stays so"


async def test_the_count_survives_a_restart(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    for _ in range(5):
        await sign_in(http, ann.email, WRONG)
    async with started(live_runtime, gateway_settings) as again:
        transport = httpx.ASGITransport(again)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            assert problem(await sign_in(client, ann.email, GOOD)) == (401, "invalid_credentials")


async def test_guesses_side_by_side_cannot_beat_the_count(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    looked: list[str] = []
    verify = Passwords.verify

    async def slowly(self: Passwords, hashed: str | None, password: str) -> bool:
        await asyncio.sleep(0.05)
        looked.append(password)
        return await verify(self, hashed, password)

    monkeypatch.setattr(Passwords, "verify", slowly)
    guesses = [*(f"wrong guess number {n}" for n in range(30)), GOOD]
    answers = await asyncio.gather(*(sign_in(http, ann.email, guess) for guess in guesses))
    assert [answer.status_code for answer in answers] == [401] * 31, "the right one came after five others"
    assert len(looked) == 31, "the same work for each"


async def test_two_processes_count_together(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    async with started(live_runtime, gateway_settings) as again:
        transport = httpx.ASGITransport(again)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as other:
            clients = [http, other] * 10
            await asyncio.gather(*(sign_in(client, ann.email, WRONG) for client in clients))
    async with live_runtime.database.read() as session:
        assert (await session.execute(text("SELECT failures FROM staff_attempt"))).scalar_one() == 5


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(["wrong", "right", "wait"]), max_size=25))
async def test_any_order_of_attempts(live_runtime: ServiceRuntime, steps: list[str]) -> None:
    """Against a model: what is let in, and how long nobody is."""
    async with live_runtime.database.write() as session:
        await session.execute(text("DELETE FROM staff_attempt"))
    failures, locked = 0, False
    for step in steps:
        if step == "wait":
            await passes(live_runtime)
            locked = False
            continue
        async with live_runtime.database.write() as session:
            taken = await queries.take_attempt(session, "ann")
            assert (taken is None) == locked
            if step == "right" and taken is not None:
                await queries.forget_attempts(session, "ann")
        if not locked:
            failures = 0 if step == "right" else failures + 1
            locked = failures >= queries.FREE
            if locked:
                seconds = min(3600, 60 * 2 ** (failures - 5))
                assert seconds - 5 < await locked_for(live_runtime) <= seconds


async def test_the_unknown_the_disabled_and_the_locked_are_refused_alike(
    admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    ann, bob, eve = [await hire(admin, "agent", f"{name}@example.com") for name in ("ann", "bob", "eve")]
    await admin.patch(f"/v1/staff/accounts/{bob.id}", json={"disabled": True}, headers={"If-Match": "*"})
    for _ in range(5):
        await sign_in(http, eve.email, WRONG)
    bodies: list[dict[str, Any]] = []
    for email, password in (
        (ann.email, WRONG),
        (bob.email, GOOD),
        (eve.email, GOOD),
        ("nobody@example.com", GOOD),
        ("no address", GOOD),
    ):
        answer = await sign_in(http, email, password)
        body = answer.json()
        body.pop("instance")
        bodies.append({**body, "headers": sorted(set(answer.headers) - {"content-length"})})
    assert all(body == bodies[0] for body in bodies)


async def test_the_unknown_cost_as_much_and_lock_as_well(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements in the same order and one hash each, also when the fifth locks and when it is locked."""
    ann = await hire(admin, "agent", "ann@example.com")
    done: list[str] = []
    verify = Passwords.verify

    async def noted(self: Passwords, hashed: str | None, password: str) -> bool:
        done.append("hash")
        return await verify(self, hashed, password)

    def said(*arguments: Any) -> None:
        words = ("staff_attempt", "INTO audit", "FROM staff_account")  # others refresh what they know meanwhile
        done.extend(word for word in words if word in arguments[2])

    monkeypatch.setattr(Passwords, "verify", noted)
    event.listen(live_runtime.database.engine.sync_engine, "before_cursor_execute", said)
    for _ in range(7):
        work: list[list[str]] = []
        for email in (ann.email, "nobody@example.com"):
            done.clear()
            await sign_in(http, email, WRONG)
            work.append(done.copy())
        assert work[0] == work[1]
        assert {"staff_attempt", "FROM staff_account", "hash"} <= set(work[0])
        assert work[0].count("hash") == 1
    event.remove(live_runtime.database.engine.sync_engine, "before_cursor_execute", said)
    async with live_runtime.database.read() as session:
        rows = (await session.execute(text("SELECT failures, locked_until IS NULL FROM staff_attempt"))).all()
        audits = (await session.execute(text("SELECT count(*) FROM audit WHERE action = 'staff.locked_out'"))).scalar()
    assert [tuple(row) for row in rows] == [(5, False)] * 2
    assert audits == 2


async def test_an_owner_unlocks(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    for _ in range(5):
        await sign_in(http, ann.email, WRONG)
    assert (await admin.get(f"/v1/staff/accounts/{ann.id}")).json()["locked_until"] is not None
    assert (await admin.post(f"/v1/staff/accounts/{ann.id}/unlock")).json()["locked_until"] is None
    assert (await sign_in(http, ann.email, GOOD)).status_code == 201


async def test_a_password_changed_while_it_was_looked_at(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    verify = Passwords.verify

    async def meanwhile(self: Passwords, hashed: str | None, password: str) -> bool:
        good = await verify(self, hashed, password)
        await admin.post(f"/v1/staff/accounts/{ann.id}/reset-password")
        return good

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    assert problem(await sign_in(http, ann.email, GOOD)) == (401, "invalid_credentials")
    assert (await http.get("/v1/staff/me", headers=bearer("x"))).status_code == 401
