"""The fact tables that rules are asked over: written, and loaded for what a rule reads."""

from perennial.common.rules.facts.tables import EventFact, TraitFact, fact_tables, record_events, record_traits
from perennial.common.rules.facts.views import decode, load_views

__all__ = ["EventFact", "TraitFact", "decode", "fact_tables", "load_views", "record_events", "record_traits"]
