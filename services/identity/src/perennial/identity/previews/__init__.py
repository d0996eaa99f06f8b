"""What a merge, a split or its undo would change: the verb itself, on copies of what it writes."""
