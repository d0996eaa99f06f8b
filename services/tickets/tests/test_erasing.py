"""A person is forgotten: tickets go with all that was said in them, others' stay."""

from typing import Any

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.tickets.main import SERVICE


async def test_tickets_go_with_their_history(desk: Any, runtime: ServiceRuntime, session: Any) -> None:
    ada, grace = await desk.customer(), await desk.customer()
    for whose in (ada, grace):
        body = {"customer_id": str(whose), "type": "question", "subject": "Hello", "description": f"I am {whose}"}
        made = await desk.post("/v1/tickets", body)
        assert made.status_code == 201, made.text
        said = await desk.post(f"/v1/tickets/{made.json()['id']}/comments", {"text": f"call {whose}", "public": True})
        assert said.is_success, said.text
    told = CustomerErased(erasure_id=uuid7(), customer=ada, vias=[ada], at=utc_now())
    await react(runtime, session, reactions_of(SERVICE), [told])
    again = await desk.post(
        "/v1/tickets", {"customer_id": str(ada), "type": "question", "subject": "x", "description": "y"}
    )
    assert again.status_code == 404, "from now on nobody is there"
    await session.flush()
    await worker.run_all(runtime)
    for table in ("ticket", "ticket_event", "sla_clock", "sla_interval", "timer"):
        rows = (await session.execute(text(f"SELECT t::text FROM {table} AS t"))).scalars().all()
        assert not any(str(ada) in row for row in rows), table
    assert (await session.execute(text("SELECT via FROM ticket"))).scalars().all() == [grace]
    assert (await session.execute(text("SELECT count(*) FROM ticket_event"))).scalar_one() > 1
