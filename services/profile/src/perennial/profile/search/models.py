"""What lists and searches walk along, beside the hot row of a customer."""

from sqlalchemy import Column, DateTime, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata
from perennial.profile.rows.models import customer
from perennial.profile.sections import models as _sections  # noqa: F401 (its table of memberships)

_Word = Text(collation="C")
_Instant = DateTime(timezone=True)
_NEVER = text("'-infinity'")

order = Table(
    "customer_order",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("names", JSONB, nullable=False, comment="The traits that `name` and the forms were made of."),
    Column("name", _Word, nullable=False, comment="Folded, to sort by; U+10FFFF where there is none."),
    Column("first_seen", _Instant, server_default=_NEVER, nullable=False),
    Column("last_seen", _Instant, server_default=_NEVER, nullable=False),
)
Index("ix_customer_order_name", order.c.name, order.c.customer_id)
Index("ix_customer_order_first_seen", order.c.first_seen, order.c.customer_id)
Index("ix_customer_order_last_seen", order.c.last_seen, order.c.customer_id)

name = Table(
    "customer_name",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True, comment="The trait that says it; two of them joined by +."),
    Column("form", _Word, primary_key=True, comment="Folded, without spaces, from one of its words or signs on."),
    Column("words", Text, comment="The whole with spaces, where the form is the whole."),
)
Index("ix_customer_name_form", name.c.form, name.c.customer_id)
Index(
    "ix_customer_name_words",
    name.c.words,
    postgresql_using="gin",
    postgresql_ops={"words": "gin_trgm_ops"},
    postgresql_where=text("words IS NOT NULL"),
)

Index("ix_customer_traits", customer.c.traits, postgresql_using="gin", postgresql_ops={"traits": "jsonb_path_ops"})
Index("ix_customer_tags", customer.c.tags, postgresql_using="gin")
Index("ix_customer_stage", customer.c.stage, customer.c.customer_id, postgresql_where=text("stage IS NOT NULL"))
_membership = metadata.tables["membership"]
Index(
    "ix_membership_segment",
    _membership.c.segment_id,
    _membership.c.customer_id,
    postgresql_where=text("member"),
)
