"""Erasure: the books stay, what was written about a person in them goes."""

from alembic import op

from perennial.common.privacy import create_privacy_tables, drop_privacy_tables, erasable

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ERASE_POSTING_TEXTS = """
    UPDATE posting SET reason = 'erased', reference = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM posting WHERE via = ANY(p_vias) AND kind IN ('spend', 'adjust')
            AND (reason <> 'erased' OR reference IS NOT NULL) LIMIT p_n))"""


def upgrade() -> None:
    create_privacy_tables()
    erasable("erase_posting_texts", ERASE_POSTING_TEXTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_posting_texts(uuid[], integer)")
    drop_privacy_tables()
