"""Earning: what orders and other events bring, by rules that staff writes."""
