"""The chain of hashes over an audit trail: a row changed, removed or slipped in breaks it from there on.

The database builds it (a trigger that every schema has), so no caller can leave it out. Cutting off the newest rows
leaves a chain that is whole: only a head noted elsewhere shows that. Note it now and then, and pass it to `verify`.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from perennial.common.db import ReadSession

# What a row's digest covers, given the digest before it; one spelling for the trigger and for the proof.
DIGEST = (
    "sha256({previous} || convert_to(jsonb_build_array({row}.id, extract(epoch FROM {row}.at)::text, "
    "{row}.principal, {row}.action, {row}.subject, {row}.detail)::text, 'UTF8'))"
)
NOTHING = "''::bytea"

_BROKEN = text(f"""
    SELECT min(id) FROM (
      SELECT audit.*, lag(digest, 1, {NOTHING}) OVER (ORDER BY id) AS before FROM audit
    ) AS linked
    WHERE previous IS DISTINCT FROM before OR digest IS DISTINCT FROM {DIGEST.format(previous="before", row="linked")}
    """)  # noqa: S608 (constants)
_HEAD = text("""
    SELECT id, digest, at, (SELECT count(*) FROM audit) AS entries FROM audit ORDER BY id DESC LIMIT 1""")
_NOTED = text("SELECT digest FROM audit WHERE id = :id")

# What makes a trail of a plain one: existing rows are chained in their order, new ones by a trigger under a lock.
CHAINED = (
    "ALTER TABLE audit ADD COLUMN IF NOT EXISTS previous bytea, ADD COLUMN IF NOT EXISTS digest bytea",
    f"""
    DO $$ DECLARE entry audit; last bytea := {NOTHING}; BEGIN
      FOR entry IN SELECT * FROM audit ORDER BY id LOOP
        UPDATE audit SET previous = last, digest = {DIGEST.format(previous="last", row="entry")} WHERE id = entry.id
        RETURNING digest INTO last;
      END LOOP;
    END $$""",  # noqa: S608 (constants)
    "ALTER TABLE audit ALTER COLUMN previous SET NOT NULL, ALTER COLUMN digest SET NOT NULL",
    "CREATE INDEX IF NOT EXISTS ix_audit_at ON audit USING brin (at)",
    "CREATE INDEX IF NOT EXISTS ix_audit_subject_id ON audit (subject, id)",
    f"""
    CREATE OR REPLACE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE last record; BEGIN
      PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || '.audit', 0));
      SELECT id, digest INTO last FROM audit ORDER BY id DESC LIMIT 1;
      NEW.id := coalesce(last.id, 0) + 1;
      NEW.previous := coalesce(last.digest, {NOTHING});
      NEW.digest := {DIGEST.format(previous="NEW.previous", row="NEW")};
      RETURN NEW;
    END $$""",  # noqa: S608 (constants)
    "CREATE OR REPLACE TRIGGER audit_chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain()",
)


class Head(NamedTuple):
    """The newest row: what to note outside the database."""

    id: int
    digest: bytes
    at: datetime
    entries: int


class Noted(NamedTuple):
    """A head that was noted before, `<id>:<digest in hex>`."""

    id: int
    digest: bytes

    @classmethod
    def parse(cls, written: str) -> "Noted":
        """Raises ValueError for another form."""
        number, _, digest = written.partition(":")
        return cls(int(number), bytes.fromhex(digest))


async def head(session: ReadSession) -> Head | None:
    """The newest row; None while there is none."""
    row = (await session.execute(_HEAD)).one_or_none()
    return Head(row.id, bytes(row.digest), row.at, row.entries) if row else None


async def verify(session: ReadSession, noted: Noted | None = None) -> str | None:
    """What is wrong with the trail, naming the first bad row; None when it is whole and holds the noted head."""
    broken = (await session.execute(_BROKEN)).scalar_one()
    if broken is not None:
        return f"row {broken} is not what was written, or a row before it is missing"
    if noted is not None:
        found = (await session.execute(_NOTED, {"id": noted.id})).scalar_one_or_none()
        if found is None:
            return f"row {noted.id}, noted as the head, is missing: the newest rows were cut off"
        if bytes(found) != noted.digest:
            return f"row {noted.id} is not the one whose digest was noted: the trail was written anew"
    return None
