"""What remains of an erased identifier: a keyed hash, so that old events of it are known when they come again."""

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Table, text

from perennial.identity.models import metadata

tombstone = Table(
    "tombstone",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="Keyed blind index of kind and value."),
    Column(
        "at", DateTime(timezone=True), nullable=False, index=True,
        comment="What happened until then is not taken in any more.",
    ),
    Column("refused", BigInteger, server_default=text("0"), nullable=False, comment="Events that came too late."),
)  # fmt: skip
