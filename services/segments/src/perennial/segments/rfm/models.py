"""The tables of RFM: settings, runs, what each run froze, where each customer stands."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.segments.models import metadata

_instant = DateTime(timezone=True)

setting = Table(
    "rfm_setting",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSONB, nullable=False),
    Column("at", _instant, server_default=func.now(), nullable=False),
)
scoring = Table(
    "rfm_scoring",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("state", Text, nullable=False, comment="wanted, computing, serving (the one that is read), past, failed"),
    Column("cause", Text, nullable=False, comment="day, change, new, growth, asked, settings or currency"),
    Column("wanted_at", _instant, server_default=func.now(), nullable=False),
    Column("as_of", _instant, comment="The moment at which the facts were read and the thresholds frozen."),
    Column("served_at", _instant),
    Column("settings_version", Integer),
    Column("customers", Integer, comment="With an order in the deployment's currency."),
    Column("version", BigInteger, comment="The last version of a standing that was drawn before it served."),
    Column("error", Text),
    Column("seconds", Double, comment="How long it took: the longer, the later the next one that orders want."),
    Column("currency", Text, comment="The deployment's, by which the trait `rfm` was said from when it served."),
)
Index("ix_rfm_scoring_wanted", scoring.c.state, unique=True, postgresql_where=scoring.c.state == "wanted")
Index("ix_rfm_scoring_serving", scoring.c.state, unique=True, postgresql_where=scoring.c.state == "serving")

model = Table(
    "rfm_model",
    metadata,
    Column("run_id", Uuid, ForeignKey("rfm_scoring.id", ondelete="CASCADE"), primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("customers", Integer, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("monetary", Numeric, nullable=False),
    Column("reached", Boolean, nullable=False, comment="A cut counts when reached (fixed bands), else when exceeded."),
    Column("recency", ARRAY(_instant), nullable=False, comment="The cuts below the scores 2 to 5."),
    Column("frequency", ARRAY(Integer), nullable=False),
    Column("monetary_cuts", ARRAY(Numeric), nullable=False),
    Column("high", ARRAY(SmallInteger), nullable=False, comment="The least r, f and m that count as high."),
    Column("value", Numeric, nullable=False, comment="The least monetary value of the high-value quadrants."),
    Column("active_since", _instant, nullable=False),
    Column("as_of", _instant, nullable=False, comment="From which the clusters count days."),
    Column("scales", ARRAY(Double), comment="Means, then deviations, of the logarithms that are clustered."),
    Column("centers", ARRAY(Double), comment="Five centroids of three coordinates, standardised."),
    Column("cluster_names", ARRAY(Text)),
    Column("clusters", JSONB, nullable=False, comment="The centroids explained, or the reason why there are none."),
    Column("report", JSONB, nullable=False, comment="Customers, orders and money by group when it was computed."),
    Column("clustered_at", _instant, comment="When the centroids were found: by this run, or one before."),
    Column("clustered", Integer, comment="Of how many customers they were found."),
)
standing_version = Sequence("rfm_version", metadata=metadata)
standing = Table(
    "rfm_standing",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("run_id", Uuid, primary_key=True),
    Column("last_order_at", _instant, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("monetary", Numeric, nullable=False),
    Column("r", SmallInteger, nullable=False),
    Column("f", SmallInteger, nullable=False),
    Column("m", SmallInteger, nullable=False),
    Column("group", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("quadrant", Text, nullable=False),
    Column("cluster", Text),
    Column("first", ARRAY(Text), comment="Group, class, quadrant and cluster as the run found them, where they moved."),
    Column("late", Boolean, server_default=text("false"), nullable=False, comment="No customer yet at the run."),
    Column("gone", Boolean, server_default=text("false"), nullable=False, comment="Since the run."),
    Column("version", BigInteger, nullable=False),
)
Index("ix_rfm_standing_run", standing.c.run_id, standing.c.currency, standing.c.group, standing.c.customer_id)

touched = Table(
    "rfm_touched",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("customer_id", Uuid, nullable=False, index=True),
    comment="Who was derived while a run was being computed: the run looks at them again before it serves.",
)
