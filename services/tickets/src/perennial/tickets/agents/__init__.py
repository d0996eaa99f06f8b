"""Who works on tickets: skills, capacity, presence."""
