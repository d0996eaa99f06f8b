"""The ledger's tables. Postings are only ever added; accounts and lots are their sums."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)


def _points(name: str) -> "Column[int]":
    return Column(name, BigInteger, server_default=text("0"), nullable=False)


def _currency(*, primary_key: bool = False) -> "Column[str]":
    return Column("currency", Text, primary_key=primary_key, server_default=text("'points'"), nullable=False)


# One reason for points to move. The id is made of its cause, so the same cause cannot be posted twice.
# `points` and `pending` are what it does to the balance and to what is pending of `via`. `returns`: the spending that
# it gives back, whole and once. `lot_id`: the lot that it is about; what names none concerns the customer as a whole.
# Both legs of it are functions of its row, so it is balanced by itself: the view `entry` shows them.
posting = Table(
    "posting",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("via", Uuid, nullable=False),
    _currency(),
    Column("at", MOMENT, nullable=False),
    Column("recorded_at", MOMENT, server_default=func.now(), nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reference", Text),
    Column("returns", Uuid),
    Column("lot_id", Uuid),
    CheckConstraint("kind IN ('earn', 'activate', 'spend', 'return', 'reverse', 'expire', 'adjust')", name="kind"),
    CheckConstraint("(returns IS NOT NULL) = (kind = 'return')", name="returns"),
    Index("ix_posting_by_via", "via"),
)
Index("ix_posting_unlinked", posting.c.via, postgresql_where=posting.c.lot_id.is_(None))
Index("ux_posting_returns", posting.c.returns, unique=True, postgresql_where=posting.c.returns.is_not(None))

# What the version before names of legs, until its statement ends: then it is the posting's. Empty otherwise.
entry_lot = Table(
    "entry_lot", metadata, Column("posting_id", Uuid, primary_key=True), Column("lot_id", Uuid, nullable=False)
)

account = Table(
    "account",
    metadata,
    Column("via", Uuid, primary_key=True),
    _currency(primary_key=True),
    _points("balance"),
    _points("pending"),
    _points("earned"),
    _points("spent"),
    _points("reversed"),
    _points("expired"),
    _points("adjusted"),
    Column("version", BigInteger, server_default=text("1"), nullable=False),
)

# Points that came together. What stands of a lot (points − reversed − expired) is a fact; what was used of it is
# derived (lot_use). `swept`: its expiry has been posted. The lots of an order are found by its `via` and its time: they
# bear those of its completion as it was told then, and that is never put off.
lot = Table(
    "lot",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("posting_id", Uuid, nullable=False),
    _currency(),
    Column("purchase_id", Uuid),
    Column("points", BigInteger, nullable=False),
    _points("reversed"),
    _points("expired"),
    Column("state", Text, nullable=False),
    Column("qualifies", Boolean, nullable=False),
    Column("earned_at", MOMENT, nullable=False),
    Column("active_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("swept", Boolean, server_default=text("false"), nullable=False),
    CheckConstraint("state IN ('pending', 'active')", name="state"),
    CheckConstraint("points > 0 AND reversed >= 0 AND expired >= 0 AND reversed + expired <= points", name="standing"),
    Index("ix_lot_via", "via", "earned_at"),
)
Index("ix_lot_pending", lot.c.active_at, postgresql_where=lot.c.state == "pending")
Index("ix_lot_expiring", lot.c.expires_at, postgresql_where=~lot.c.swept & lot.c.expires_at.is_not(None))
Index("ix_lot_swept", lot.c.via, postgresql_where=lot.c.swept)

# Which lots a spending took, for the customer as the map has it today: derived, and replaced when that changes.
lot_use = Table(
    "lot_use",
    metadata,
    Column("posting_id", Uuid, primary_key=True),
    Column("lot_id", Uuid, primary_key=True),
    Column("points", BigInteger, nullable=False),
    CheckConstraint("points > 0", name="points"),
    Index("ix_lot_use_lot_id", "lot_id"),
)
