"""The customer 360: facts of all identifiers of a customer, merged when they are read."""
