"""Service levels: clocks that run in working time and rest while a ticket waits."""
