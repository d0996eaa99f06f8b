"""What a split leaves owed: a side that spent the other's points owes them openly."""
