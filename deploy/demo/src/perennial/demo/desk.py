"""The service desk: customers ask for refunds in their own name, a rule dispatches them to the agent.

One request is closed and rated, one is being worked on, one waits.
"""

from uuid import uuid4

from perennial.demo.client import Json
from perennial.demo.data import Shopper
from perennial.demo.reference import money
from perennial.demo.session import Session

STAGES = ("closed", "in_progress", "assigned")
SKILL = "refunds"
AGENT = {"id": "demo-desk", "name": "Refund desk", "team": SKILL, "skills": [SKILL], "capacity": 50, "online": True}
RULE = {"name": "Refunds", "rule": {"trait": "type", "is": "refund"}, "team": SKILL, "skills": [SKILL]}


async def refunds(session: Session, shoppers: list[Shopper]) -> list[str]:
    """Three requests, found again by their subject when the demo runs again; the stages that they end in."""
    await _staff(session)
    asking = session.chosen("refunds", [shopper for shopper in shoppers if shopper.email][: len(STAGES)])
    stages = []
    for shopper, stage in zip(asking, STAGES, strict=False):
        body = {"customer_id": session.customers[shopper.household], "ttl_seconds": 600}
        token = (await session.client.post("/v1/customer-tokens", body))["token"]
        ticket = await _ask(session, shopper, token)
        if stage != "assigned":
            await _work_on(session, ticket)
        if stage == "closed":
            await _settle(session, ticket, token)
        stages.append((await session.client.get(f"/v1/tickets/{ticket['id']}"))["stage"])
    return stages


async def _staff(session: Session) -> None:
    client = session.client
    if AGENT["id"] not in {agent["id"] async for agent in client.pages("/v1/agents")}:
        await client.post("/v1/agents", AGENT, key=str(uuid4()))
    if RULE["name"] not in {rule["name"] async for rule in client.pages("/v1/dispatch-rules")}:
        await client.post("/v1/dispatch-rules", RULE, key=str(uuid4()))


async def _ask(session: Session, shopper: Shopper, token: str) -> Json:
    subject = f"Refund for order {shopper.basket_id}"
    mine = await session.client.get("/v1/me/tickets", {"limit": 200}, token=token)
    for ticket in mine["items"]:
        if ticket["subject"] == subject:
            return dict(ticket)
    product = shopper.line.get("name", shopper.product_id)
    body = {
        "type": "refund",
        "subject": subject,
        "description": f"{product}: the packet was open when I unpacked it. I would like my money back.",
        "fields": {"order_id": str(shopper.basket_id), "amount": str(money(shopper.cents)), "reason": "damaged"},
    }
    return await session.client.post("/v1/me/tickets", body, key=str(uuid4()), token=token)


async def _work_on(session: Session, ticket: Json) -> None:
    if ticket["stage"] in {"new", "assigned"}:
        path = f"/v1/tickets/{ticket['id']}/transition"
        await session.client.post(path, {"to": "in_progress", "note": "Looked at."}, key=str(uuid4()))


async def _settle(session: Session, ticket: Json, token: str) -> None:
    """Closed by the desk, then rated by the customer."""
    if ticket["open"]:
        path = f"/v1/tickets/{ticket['id']}/close"
        await session.client.post(path, {"resolution": "The money is on its way."}, key=str(uuid4()))
    if ticket["rating"] is None:
        body = {"score": 5, "comment": "That was quick."}
        await session.client.post(f"/v1/me/tickets/{ticket['id']}/rating", body, key=str(uuid4()), token=token)
