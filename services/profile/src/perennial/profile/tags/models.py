"""The tables of tags: definitions, what was given under an identifier, what was heard, what each customer shows."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    Numeric,
    Sequence,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)
_nothing = text("'{}'")

tag_definition = Table(
    "tag_definition",
    metadata,
    Column("key", Text(collation="C"), primary_key=True),
    Column("label", JSONB, nullable=False, comment="By language."),
    Column("about", JSONB, nullable=False, comment="One sentence by language."),
    Column("dimension", Text, nullable=False, comment="attribute, behaviour, need, value"),
    Column("kind", Text, nullable=False, comment="manual, imported, rule, computed, words"),
    Column("owner", Text),
    Column("lasts", BigInteger, comment="Seconds, for what people and imports give."),
    Column("basis", JSONB, server_default=_nothing, nullable=False, comment="By kind: what it is derived from."),
    Column("weights", JSONB, server_default=_nothing, nullable=False, comment="By stage of the life cycle."),
    Column("origin", Text, nullable=False, comment="preset, own"),
    Column("digest", Text, comment="Of the preset that it was taken from."),
    Column("edited", Boolean, server_default=text("false"), nullable=False, comment="A preset that is the shop's now."),
    Column("active", Boolean, server_default=text("true"), nullable=False),
    Column("version", Integer, server_default=text("1"), nullable=False),
    Column("cut", Numeric, comment="The value from which on a share of all customers lies."),
    Column("created_at", _Instant, server_default=func.now(), nullable=False),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
)
Table(
    "tag_definition_version",
    metadata,
    Column("key", Text(collation="C"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", _Instant, server_default=func.now(), nullable=False),
)
Table(
    "tag_assignment",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("held", Boolean, nullable=False, comment="False: it was taken back."),
    Column("at", _Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text),
    Column("origin", Text, nullable=False, comment="manual, import"),
    Column("expires_at", _Instant),
    comment="Of all identifiers of a customer the newest says.",
)
# Every change of a customer's tags draws a number: whoever keeps a copy ignores what is older than what it has.
tag_change_version = Sequence("tag_change_version", metadata=metadata)
customer_tag = Table(
    "customer_tag",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("since", _Instant, nullable=False),
    Column("by", Text, nullable=False, comment="The rule and its version, or who gave it."),
    Column("why", Text),
    Column("expires_at", _Instant),
    Column("score", Numeric, comment="Of words."),
    comment="Derived.",
)
Index("ix_customer_tag_key", customer_tag.c.key)

Table(
    "shown_count",
    metadata,
    Column("kind", Text, primary_key=True, comment="tag, stage; done: the row of the count itself."),
    Column("ladder", Text(collation="C"), primary_key=True, comment="Of a stage."),
    Column("key", Text(collation="C"), primary_key=True),
    Column("customers", BigInteger, nullable=False),
    Column("at", _Instant, nullable=False),
    comment="How many customers show it.",
)
Table(
    "topic",
    metadata,
    Column("key", Text(collation="C"), primary_key=True),
    Column("label", JSONB, nullable=False),
    Column("terms", JSONB, nullable=False, comment="By language."),
    Column("origin", Text, nullable=False),
    Column("digest", Text),
    Column("edited", Boolean, server_default=text("false"), nullable=False),
    Column("active", Boolean, server_default=text("true"), nullable=False),
    Column("version", Integer, server_default=text("1"), nullable=False),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
)
utterance = Table(
    "utterance",
    metadata,
    Column("id", Uuid, primary_key=True, comment="The event's."),
    Column("via", Uuid, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("kind", Text, nullable=False, comment="review, search, message"),
    Column("live", Boolean, nullable=False),
    Column("topics", JSONB, server_default=_nothing, nullable=False, comment="How many of its words each topic has."),
    Column("polarity", Numeric, comment="From -1 to 1; null where no word tells."),
    Column("heard", Boolean, server_default=text("false"), nullable=False, comment="It was analysed."),
    comment="What a customer said, without the words: those are in the timeline.",
)
Index("ix_utterance_via", utterance.c.via, utterance.c.at)
Index("ix_utterance_unheard", utterance.c.id, postgresql_where=text("NOT heard"))
