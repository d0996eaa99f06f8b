"""The programme's SQL."""

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession


async def versions(session: ReadSession) -> list[Row[tuple[object, ...]]]:
    """Every stored version, oldest first; the definition as JSON text."""
    found = await session.execute(
        text("SELECT version, valid_from, definition::text AS definition FROM programme ORDER BY version")
    )
    return list(found)


async def insert(session: WriteSession, version: int, definition: str, author: str) -> None:
    """Add a version, in force from now on."""
    await session.execute(
        text("""INSERT INTO programme (version, definition, author)
                VALUES (:version, CAST(:definition AS jsonb), :author)"""),
        {"version": version, "definition": definition, "author": author},
    )


async def mark_everyone(session: WriteSession) -> None:
    """Have every customer recomputed who has an account, an order, a tier, or a membership."""
    await session.execute(
        text("""INSERT INTO stale (customer_id, live)
                SELECT m.customer_id, false FROM account a JOIN identity_map m ON m.via = a.via
                UNION SELECT m.customer_id, false FROM purchase p JOIN identity_map m ON m.via = p.via
                UNION SELECT customer_id, false FROM tier_state
                UNION SELECT customer_id, false FROM membership""")
    )
