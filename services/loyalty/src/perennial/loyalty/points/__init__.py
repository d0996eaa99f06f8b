"""Points: the ledger, its lots, and what orders earn."""
