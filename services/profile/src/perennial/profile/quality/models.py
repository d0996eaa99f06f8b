"""The tables of data quality: rules, what they found, and a row of measures for each day, source and trait."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)
_Word = Text(collation="C")

Table(
    "quality_setting",
    metadata,
    Column("id", Integer, primary_key=True, comment="1: the one row"),
    Column("version", BigInteger, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("revision", Uuid, nullable=False, comment="Another one when a rule or a baseline changes: caches go by it."),
)
Table(
    "quality_rule",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("archived", Boolean, server_default=text("false"), nullable=False),
    Column("filled", Uuid, comment="Of a rule on duplicates: values up to this identifier are indexed."),
    Column("ready", Boolean, server_default=text("false"), nullable=False, comment="All values are indexed."),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
    Column("updated_by", Text, nullable=False),
)
Table(
    "quality_rule_version",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("definition", JSONB, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("at", _Instant, server_default=func.now(), nullable=False),
    Column("by", Text, nullable=False),
)
Table(
    "quality_baseline",
    metadata,
    Column("rule", Uuid, primary_key=True),
    Column("low", Numeric, nullable=False, comment="What is below it is an outlier."),
    Column("high", Numeric, nullable=False),
    Column("centre", Numeric, nullable=False, comment="The median."),
    Column("spread", Numeric, nullable=False, comment="Interquartile range, or median absolute deviation."),
    Column("count", BigInteger, nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("scale", Text, server_default=text("'plain'"), nullable=False, comment="As which type values are compared."),
    Column("unit", Text, comment="The currency of amounts."),
)
value = Table(
    "quality_value",
    metadata,
    Column("key", _Word, primary_key=True),
    Column("via", Uuid, primary_key=True),
    Column("source", _Word, primary_key=True),
    Column("digest", LargeBinary, comment="Keyed, of the value; null: cleared."),
    Column("at", _Instant, nullable=False),
    Column("message_id", _Word, nullable=False),
    comment="Values of traits that should be unique, while a rule says so.",
)
Index("ix_quality_value_digest", value.c.key, value.c.digest)
Index("ix_quality_value_via", value.c.via)
finding = Table(
    "quality_finding",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("rule", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("key", _Word, nullable=False),
    Column("source", _Word, nullable=False),
    Column("via", Uuid, nullable=False, comment="Zeros: of a whole source."),
    Column("value", JSONB, comment="What was said, sealed as it would be in trait."),
    Column("taken", JSONB, comment="What was taken instead; null: nothing."),
    Column("at", _Instant, nullable=False, comment="When it was said, by the event."),
    Column("message_id", _Word, nullable=False),
    Column("first", JSONB, comment="The rest of a stored statement that was taken away: value, at, message_id."),
    Column("state", Text, nullable=False, comment="open, released or gone"),
    Column("found_at", _Instant, nullable=False),
    Column("ended_at", _Instant),
)
Index("uq_quality_finding_place", finding.c.rule, finding.c.via, finding.c.key, finding.c.source, unique=True)
Index("ix_quality_finding_via", finding.c.via)
Table(
    "quality_trait_day",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC."),
    Column("source", _Word, primary_key=True),
    Column("key", _Word, primary_key=True),
    Column("customers", BigInteger, comment="Of the source, as many as were looked at."),
    Column("shown", BigInteger, comment="Of these, who show the trait."),
    Column("required", Boolean, server_default=text("false"), nullable=False),
    Column("said", BigInteger, server_default=text("0"), nullable=False, comment="Values received on the day."),
    Column("accepted", BigInteger, server_default=text("0"), nullable=False),
    Column("held", BigInteger, comment="Values of the source that were looked at."),
    Column("stale", BigInteger, comment="Of these, older than the settings' span."),
    Column("median_age", Double, comment="Seconds."),
    Column("p90_age", Double, comment="Seconds."),
    Column("unique_of", BigInteger, comment="Values that should be unique."),
    Column("distinct_values", BigInteger),
    Column("sampled", Boolean, server_default=text("false"), nullable=False),
)
Table(
    "quality_source_day",
    metadata,
    Column("day", Date, primary_key=True),
    Column("source", _Word, primary_key=True),
    Column("measures", JSONB, nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("measured_at", _Instant, nullable=False),
)
Table(
    "quality_intake",
    metadata,
    Column("source", _Word, primary_key=True),
    Column("hour", _Instant, primary_key=True, comment="Its first instant; of what is counted by day, the day's."),
    Column("outcome", _Word, primary_key=True),
    Column("count", BigInteger, nullable=False),
    comment="What became of events before they came here, as the gateway and identity have counted it.",
)
Table(
    "quality_gauge",
    metadata,
    Column("source", _Word, primary_key=True),
    Column("name", _Word, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("at", _Instant, nullable=False),
    comment="How much waits elsewhere, as was said last.",
)
Table(
    "quality_crossing",
    metadata,
    Column("rule", Uuid, primary_key=True),
    Column("source", _Word, primary_key=True),
    Column("key", _Word, primary_key=True),
    Column("crossed", Boolean, nullable=False),
    Column("value", Double, nullable=False),
    Column("since", _Instant, nullable=False),
    comment="On which side of a threshold a measure is.",
)
