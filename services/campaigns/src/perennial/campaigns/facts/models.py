"""Traits, the events that journeys read, and copies of memberships; the view `membership` shows members only."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Interval, Table, Text, Uuid

from perennial.campaigns.metadata import metadata
from perennial.common.rules.facts import fact_tables

trait, event = fact_tables(metadata)

segment_membership = Table(
    "segment_membership",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("member", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)
Index("ix_segment_membership_customer_id", segment_membership.c.customer_id)

interest = Table(
    "interest",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kept_for", Interval, comment="Null: for ever."),
    Column("exits", Boolean, nullable=False, comment="Whether some journey ends by it."),
    Column("since", DateTime(timezone=True), nullable=False, comment="Older events of that name were not kept."),
    comment="The events that journeys read, and for how long; made anew whenever a journey is published or archived.",
)
