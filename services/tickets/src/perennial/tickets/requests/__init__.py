"""The tickets themselves: opened, dispatched, moved, closed, rated."""
