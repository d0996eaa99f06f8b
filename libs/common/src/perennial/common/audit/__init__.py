"""The audit trail of a service: rows that its login role can only add, each bound to the one before it."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from perennial.common import prose
from perennial.common.auth import Principal
from perennial.common.db import WriteSession

NOBODY = Principal("service", "audit", frozenset())
REASONS = frozenset({"reason", "note", "comment"})


async def record(
    session: WriteSession, principal: Principal, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Note who did what to what, in the transaction that did it; the chain is a lock, so note it last.

    A row can never be changed, so it must not tell of a person but by ids: what somebody gave as a reason is masked.
    """
    await session.execute(
        text("""INSERT INTO audit (principal, action, subject, detail)
                VALUES (:principal, :action, :subject, CAST(:detail AS jsonb))"""),
        {
            "principal": f"{principal.kind}:{principal.id}",
            "action": action,
            "subject": subject,
            "detail": json.dumps(_told(detail or {}), default=str),
        },
    )


def _told(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: prose.within(NOBODY, value) if name in REASONS else value for name, value in detail.items()}
