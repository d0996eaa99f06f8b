"""Erasure: a ticket's history goes with the ticket."""

from alembic import op

from perennial.common.privacy import create_privacy_tables, drop_privacy_tables, erasable

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ERASE_TICKET_EVENTS = """
    DELETE FROM ticket_event WHERE id = ANY(ARRAY(
        SELECT e.id FROM ticket_event AS e JOIN ticket AS t ON t.id = e.ticket_id
        WHERE t.via = ANY(p_vias) LIMIT p_n))"""


def upgrade() -> None:
    create_privacy_tables()
    erasable("erase_ticket_events", ERASE_TICKET_EVENTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_ticket_events(uuid[], integer)")
    drop_privacy_tables()
