"""What an outbox says, whether its facts have rows of their own or share them."""

from sqlalchemy import text

from perennial.common import packs
from perennial.common.db import ReadSession
from perennial.common.packs import Fact

_SAID = text("SELECT subject, headers::text, body FROM outbox WHERE subject IN (:subject, :pack) ORDER BY id")


async def said(session: ReadSession, subject: str) -> list[Fact]:
    """The facts of a subject, in their order."""
    rows = await session.execute(_SAID, {"subject": subject, "pack": packs.SUBJECT})
    return [fact for row in rows for fact in packs.facts(*row) if fact.subject == subject]
