"""The rule language itself: its schema, rules as sentences and sentences as rules."""
