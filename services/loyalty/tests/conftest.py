"""Loyalty's fixtures: those of common, and a shop that says things to the service."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned, ResolvedEvent
from perennial.common.db import Database, WriteSession
from perennial.common.derive import derive_once
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.common.testing.said import said
from perennial.loyalty.accounts import service as accounts
from perennial.loyalty.customers import owner_of
from perennial.loyalty.ledger.service import prove
from perennial.loyalty.main import SERVICE
from perennial.loyalty.worker import DERIVATION

versions = count(1)


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


class Shop:
    """Says what a shop would, in one session, and reads what came of it."""

    def __init__(self, runtime: ServiceRuntime, session: WriteSession) -> None:
        self.runtime = runtime
        self.session = session

    async def say(self, *events: ResolvedEvent | Event) -> None:
        await react(self.runtime, self.session, reactions_of(SERVICE), events)

    async def order(self, via: UUID, revenue: Any, order_id: str = "", **more: Any) -> str:
        """An Order Completed; returns the order's id."""
        order_id = order_id or uuid4().hex
        properties = {"order_id": order_id, "revenue": revenue, **more.pop("properties", {})}
        await self.say(tracked("Order Completed", properties, via=via, **more))
        return order_id

    async def refund(self, order_id: str, name: str = "Order Refunded", *, via: UUID, **more: Any) -> None:
        properties = {"order_id": order_id, **more.pop("properties", {})}
        await self.say(tracked(name, properties, via=via, **more))

    async def assign(self, customer: UUID, *vias: UUID) -> None:
        """Say that identifiers are a customer's."""
        items = [Assignment(via=via, customer=customer, version=next(versions) + 1) for via in vias]
        await self.say(IdentifiersAssigned(assignments=items))

    async def derive(self) -> None:
        await self.session.execute(text("UPDATE stale SET at = now()"))
        while await derive_once(self.session, DERIVATION):
            pass

    async def account(self, customer: UUID) -> accounts.CustomerAccount:
        return (await accounts.accounts(self.session, [await owner_of(self.session, customer)]))[0]

    async def balance(self, customer: UUID) -> int:
        return (await self.account(customer)).balance

    async def said(self, contract: type[Event]) -> list[dict[str, Any]]:
        """What was emitted of one contract, oldest first."""
        return [json.loads(fact.body) for fact in await said(self.session, contract.subject)]

    async def programme(self, valid_from: datetime, **changes: Any) -> None:
        """Put the built-in programme with changes in force from an instant on."""
        definition = {
            "earn_rules": [{"name": "orders"}],
            "tiers": [{"name": "member", "threshold": 0}, {"name": "silver", "threshold": 500}],
            **changes,
        }
        main = {name: definition.pop(name) for name in ("pending_days",) if name in definition}
        if "expiry_months" in definition:
            main["expiry"] = {"kind": "months", "months": definition.pop("expiry_months")}
        if main:
            definition["currencies"] = [{"code": "points", **main}]
        await self.session.execute(
            text("""INSERT INTO programme (version, valid_from, definition, author) SELECT
                    coalesce(max(version), 1) + 1, :valid_from, CAST(:definition AS jsonb), 'test' FROM programme"""),
            {"valid_from": valid_from, "definition": json.dumps(definition)},
        )

    async def prove(self) -> None:
        """The books balance, lots and uses included."""
        await self.derive()
        await prove(self.session)


@pytest.fixture
async def shop(runtime: ServiceRuntime, session: WriteSession) -> AsyncIterator[Shop]:
    opened = Shop(runtime, session)
    yield opened
    await opened.prove()


@asynccontextmanager
async def open_shop(runtime: ServiceRuntime, database: Database) -> AsyncIterator[Shop]:
    """A shop whose words are committed at the end."""
    async with database.write() as session:
        yield Shop(runtime, session)


@pytest.fixture
def committing(service: Service, settings: Any, committed: Database) -> Any:
    """`async with committing() as shop:` commits."""
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    return lambda: open_shop(runtime, committed)
