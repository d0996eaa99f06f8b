"""Whose an identifier is, by its keyed hash: the value itself is not kept."""

from uuid import UUID

from sqlalchemy import text

from perennial.common import identifiers
from perennial.common.db import ReadSession
from perennial.common.problems import Unprocessable
from perennial.common.settings import CommonSettings


async def customer_with(session: ReadSession, identifier: str, settings: CommonSettings) -> UUID | None:
    """Today's customer of `kind:value`. Raises Unprocessable for what can identify nobody."""
    try:
        kind, value = identifiers.split(identifier)
    except ValueError as error:
        raise Unprocessable(str(error), code="invalid_identifier", pointer="/identifier") from error
    normal = identifiers.normalise(kind, value, settings.region)
    if normal is None:
        raise Unprocessable(
            f"identifier: the value cannot identify anybody as {kind}", code="invalid_identifier", pointer="/identifier"
        )
    digest = identifiers.blind_index(bytes.fromhex(settings.identifier_key.get_secret_value()), kind, normal)
    found: UUID | None = (
        await session.execute(text("SELECT customer_id FROM identity_map WHERE digest = :digest"), {"digest": digest})
    ).scalar_one_or_none()
    return found
