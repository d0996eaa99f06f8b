"""The export of a person as an operation: a page of one service in each step, at last the archive."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import text

from perennial.common import audit, operations
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.operations import OperationOut, Step
from perennial.common.privacy import Subject, exporting
from perennial.gateway.models import Base
from perennial.gateway.privacy.archive import Archive
from perennial.gateway.privacy.declared import PRIVACY
from perennial.gateway.privacy.gathering import Asking, asking
from perennial.gateway.settings import GatewaySettings

KIND = "customer.export"
FILE, MEDIA_TYPE, LINES = "export.zip", "application/zip", "application/x-ndjson"
SELF = "gateway"
SERVICES = (
    "identity", "profile", "segments", "campaigns", "loyalty", "tickets", "integrations", SELF,
)  # fmt: skip
PIECE = 1 << 19

_FORGET_PARTS = text("DELETE FROM operation_file WHERE operation_id = :id AND name <> :kept")
_PARTS = text("SELECT DISTINCT name FROM operation_file WHERE operation_id = :id ORDER BY name")


async def start(session: WriteSession, by: Principal, customer: UUID) -> OperationOut:
    """Begin to gather what every service holds; the archive can be fetched for a week."""
    made = await operations.start(session, by, KIND, {"customer_id": str(customer)}, total=len(SERVICES))
    await audit.record(session, by, "customer.exported", str(customer), {"operation": str(made.id)})
    return made


async def export(step: Step) -> Mapping[str, Any] | None:
    """Go on: whom it is about, then each service's sections, then the archive."""
    at = step.progress
    settings = cast("GatewaySettings", step.runtime.settings)
    if "vias" not in at:
        async with asking(settings) as services:
            whose = {"customer_id": step.input["customer_id"]}
            found = await services.ask("identity", "/v1/privacy/identity/subject", whose)
        at.update(found, service=0, section=0, after="", rows={})
        return None
    if at["service"] < len(SERVICES):
        async with asking(settings) as services:
            await _gather(step, services)
        return None
    return await _finish(step)


async def _gather(step: Step, services: Asking) -> None:
    at = step.progress
    service = SERVICES[at["service"]]
    page = await _page(step, services, service)
    if page["section"] and page["rows"]:
        name = f"{service}.{page['section']}"
        lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in page["rows"])
        await step.append(name, lines.encode(), LINES)
        at["rows"][name] = at["rows"].get(name, 0) + len(page["rows"])
    if page["next_section"] is None:
        at.update(service=at["service"] + 1, section=0, after="")
        step.done = at["service"]
    else:
        at.update(section=page["next_section"], after=page["after"])


async def _page(step: Step, services: Asking, service: str) -> dict[str, Any]:
    at = step.progress
    if service == SELF:
        subject = Subject(frozenset(map(UUID, at["vias"])), frozenset(map(bytes.fromhex, at["digests"])))
        source = exporting.Source(step.runtime, PRIVACY, Base.metadata)
        found = await exporting.page(source, subject, at["section"], at["after"])
        return found._asdict()
    wanted = {name: at[name] for name in ("vias", "digests", "section", "after")}
    return await services.ask(service, f"/v1/privacy/{service}", wanted)


async def _finish(step: Step) -> dict[str, Any]:
    parts = list((await step.session.execute(_PARTS, {"id": step.id})).scalars())
    with tempfile.SpooledTemporaryFile(PIECE * 8) as spool:
        file = cast("BinaryIO", spool)
        archive = Archive(file, step.progress["customer_id"], utc_now())
        for part in parts:
            service, _, section = part.partition(".")
            rows = [json.loads(line) for line in (await _whole(step, part)).splitlines()]
            await asyncio.to_thread(archive.add, service, section, rows)
        files = archive.close()
        file.seek(0)
        while piece := file.read(PIECE):
            await step.append(FILE, piece, MEDIA_TYPE)
    await step.session.execute(_FORGET_PARTS, {"id": step.id, "kept": FILE})
    return {"file": FILE, "files": len(files), "rows": sum(step.progress["rows"].values())}


async def _whole(step: Step, name: str) -> str:
    found = bytearray()
    while piece := await step.read(name, len(found)):
        found += piece
    return found.decode()
