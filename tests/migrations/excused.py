"""Findings of squawk that stand, by revision: which rules, and why."""

INDEX, UNINDEX = "require-concurrent-index-creation", "require-concurrent-index-deletion"
SCAN, KEY, UNIQUE = "constraint-missing-not-valid", "adding-serial-primary-key-field", "disallowed-unique-constraint"
DROPPED, DEFAULT, FUNCTION = "ban-drop-constraint", "ban-drop-default", "ban-drop-function"
TABLE, ROBUST, INSIDE = "ban-drop-table", "prefer-robust-stmts", "ban-concurrent-index-creation-in-transaction"
TYPE, NOT_NULL, NULL = "changing-column-type", "adding-not-nullable-field", "ban-drop-not-null"

NEW = "the table was made a moment before, by the same revision or by the first one of the same installation"
AUDIT = "the audit trail grows by what staff do: thousands of rows, which the chain reads in any case"
SWAPPED = "what comes before the swap is committed step by step and can be run again; a view says what the table said"
AHEAD = "the index comes first, outside of the transaction that the rest is: a run that died can begin again"
UNASKED = "no statement of the version before names the table"
UNKEYED = "nothing refers to the key, and nothing but it was unique: what it held apart are numbers that are drawn"
UNRELEASED = "older than the first release: no deployment has rows that it would keep waiting"

EXCUSED: dict[str, tuple[set[str], str]] = {
    **{f"{name}/0001": ({NOT_NULL}, NEW) for name in ("campaigns", "identity", "integrations", "loyalty")},
    **{f"{name}/0001": ({NOT_NULL}, NEW) for name in ("profile", "segments", "tickets")},
    **{f"{name}/0002": ({NOT_NULL, INDEX}, AUDIT) for name in ("campaigns", "identity", "integrations", "loyalty")},
    **{f"{name}/0002": ({NOT_NULL, INDEX}, AUDIT) for name in ("profile", "segments", "tickets", "gateway")},
    "gateway/0003": ({SCAN, INDEX}, UNRELEASED),
    "gateway/0004": ({SCAN, UNIQUE}, UNRELEASED),
    "identity/0005": ({INDEX}, UNRELEASED),
    "identity/0006": ({INDEX}, UNRELEASED),
    "loyalty/0004": ({KEY, DROPPED, DEFAULT, FUNCTION, TYPE, SCAN}, UNRELEASED),
    "loyalty/0006": ({INDEX, UNINDEX}, UNRELEASED),
    "loyalty/0007": ({DROPPED, SCAN, INDEX}, UNRELEASED),
    "loyalty/0010": ({INSIDE, FUNCTION, TABLE, ROBUST}, SWAPPED),
    "loyalty/0011": ({INSIDE, ROBUST}, AHEAD),
    "loyalty/0013": ({INSIDE, ROBUST}, AHEAD),
    "profile/0005": ({KEY, DROPPED, SCAN}, UNRELEASED),
    "profile/0007": ({INDEX}, UNRELEASED),
    "profile/0010": ({INDEX, UNINDEX}, UNRELEASED),
    "profile/0012": ({KEY, DROPPED, SCAN}, UNRELEASED),
    "profile/0013": ({INDEX}, UNRELEASED),
    "profile/0017": ({INSIDE, ROBUST}, AHEAD),
    "segments/0004": ({NULL, INDEX}, UNRELEASED),
    "segments/0006": ({INDEX, UNINDEX, DROPPED, KEY, SCAN}, UNRELEASED),
    "segments/0009": ({INSIDE, ROBUST}, AHEAD),
    "segments/0010": ({INSIDE, ROBUST}, AHEAD),
    "segments/0012": ({DROPPED}, UNKEYED),
    "segments/0013": ({TABLE}, UNASKED),
}
