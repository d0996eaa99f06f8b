"""Rules that are no scopes."""

PUBLIC, WRITE_KEY, CUSTOMER, STAFF, KNOWN = "public", "write key", "customer", "staff", "known"
