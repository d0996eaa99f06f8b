"""The audit trail of a service: rows that its login role can only add, each bound to the one before it."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import WriteSession


async def record(
    session: WriteSession, principal: Principal, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Note who did what to what, in the transaction that did it; the chain is a lock, so note it last."""
    await session.execute(
        text("""INSERT INTO audit (principal, action, subject, detail)
                VALUES (:principal, :action, :subject, CAST(:detail AS jsonb))"""),
        {
            "principal": f"{principal.kind}:{principal.id}",
            "action": action,
            "subject": subject,
            "detail": json.dumps(dict(detail or {}), default=str),
        },
    )
